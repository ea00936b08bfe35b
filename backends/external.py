"""Servers that somebody else runs, by their address (`--dsn`): nothing but a run's own place is touched.

They can neither be killed nor paused: the classes behind an address lack the powers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from ..harness.errors import UsageError
from ..harness.household import Household
from ..harness.loading import load_object
from ..harness.protocols import Backend
from ..harness.spec import redact

SCHEMES: Mapping[str, str] = {
    "postgresql": "dokkaebi.backends.external_postgres:ExternalPostgres",
    "postgres": "dokkaebi.backends.external_postgres:ExternalPostgres",
    "mariadb": "dokkaebi.backends.external_mariadb:ExternalMariaDB",
    "mysql": "dokkaebi.backends.external_mariadb:ExternalMariaDB",
    "valkey": "dokkaebi.backends.external_valkey:ExternalValkey",
    "valkeys": "dokkaebi.backends.external_valkey:ExternalValkey",
    "redis": "dokkaebi.backends.external_valkey:ExternalValkey",
    "rediss": "dokkaebi.backends.external_valkey:ExternalValkey",
}
"""What stands behind an address, by its scheme."""


def external(dsn: str, household: Household | None = None) -> Backend:
    """The backend at an address; its scheme says which kind it is.

    With a household, what the run makes there is removed even if the harness is killed.
    """
    where = SCHEMES.get(urlsplit(dsn).scheme)
    if where is None:
        raise UsageError(f"--dsn {redact(dsn)}: its scheme must be one of {', '.join(SCHEMES)}")
    maker: Callable[..., Backend] = load_object(where)
    return maker(dsn, household)
