"""What is removed from somebody else's server if the harness dies before it could do so itself."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..harness.household import Household


def without_password(dsn: str) -> str:
    """The address as it may be written to disk."""
    parts = urlsplit(dsn)
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    netloc = f"{name}@{host}" if name else host
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


class Undo:
    """What to do about a run's place if the harness dies; nothing without a household."""

    def __init__(self, household: Household | None, dsn: str) -> None:
        self._household = household
        self._dsn = dsn
        self._number: int | None = None

    def announce(self, function: str, **arguments: Any) -> None:
        """`function` (`module:name`) is to be called with the address and these arguments."""
        if self._household is not None:
            self._number = self._household.undo_on_death(
                function,
                {"dsn": without_password(self._dsn), **arguments},
                secret={"dsn": self._dsn},
            )

    def done(self) -> None:
        """The place is removed."""
        if self._household is not None and self._number is not None:
            self._household.undone(self._number)
        self._number = None
