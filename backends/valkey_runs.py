"""A run's place on a Valkey server, whoever started that server.

A run has an empty database, and its sessions carry the client name `dokkaebi-<run id>`; only
these are counted and killed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ..harness.errors import Broken, UsageError
from ..harness.protocols import ClientSpec
from .local import wait_until, within
from .valkey_server import connection

FACTORY = "dokkaebi.backends.valkey_client:open_client"
_TELLING = ("appendonly", "appendfsync", "save", "maxmemory", "maxmemory-policy")
_LAST_CLIENT_S = 5.0


def named_dsn(dsn: str, session: str) -> str:
    """The address with the session's name; always with redis-py's scheme."""
    parts = urlsplit(dsn)
    query = {**dict(parse_qsl(parts.query)), "client_name": session}
    scheme = parts.scheme.replace("valkey", "redis")
    return urlunsplit((scheme, parts.netloc, parts.path, urlencode(query), ""))


class ValkeyRuns:
    """The data, sessions and settings of one Valkey server, by questions to the server."""

    name = "valkey"
    version: str

    def __init__(self) -> None:
        self._session: str | None = None

    def _server_dsn(self) -> str:
        raise NotImplementedError

    def _claim(self, run_id: str) -> None:
        """Make the run's place empty and its own; `UsageError` where that cannot be."""
        raise NotImplementedError

    def _empty(self) -> None:
        """Empty the run's place."""
        raise NotImplementedError

    def prepare(self, run_id: str, *, isolation: str | None) -> ClientSpec:
        """Empty the server for this run and say how to reach it."""
        if isolation is not None:
            raise UsageError(f"{self.name} has no isolation levels; {isolation!r} was asked for")
        self._claim(run_id)
        self._session = f"dokkaebi-{run_id}"
        dsn = named_dsn(self._server_dsn(), self._session)
        arguments = {"dsn": dsn, "node": self.name}
        return ClientSpec(backend=self.name, factory=FACTORY, arguments=arguments, dsn=dsn)

    def finish(self) -> None:
        """Empty the server again, once this run's last client is gone."""
        if self._session is None:
            return
        if not wait_until(lambda: self.sessions() == 0, _LAST_CLIENT_S):
            self.terminate_sessions()
        self._session = None
        self._empty()

    def answers(self) -> bool:
        """Whether the server answers PING within half a second."""

        def ping() -> None:
            with self._admin(timeout_s=0.5) as server:
                server.ping()

        return within(0.5, ping)

    def sessions(self) -> int:
        """How many of this run's sessions the server still shows."""
        with self._admin() as server:
            return len(self._ours(server))

    def terminate_sessions(self) -> None:
        """End this run's sessions on the server."""
        with self._admin() as server:
            for client in self._ours(server):
                server.client_kill_filter(_id=client["id"])

    def settings(self) -> Mapping[str, str]:
        """What decides about durability and eviction; the server does not know its defaults."""
        try:
            with self._admin() as server:
                return {name: server.config_get(name).get(name, "") for name in _TELLING}
        except Broken:
            return {}  # managed servers forbid CONFIG

    def _ours(self, server: Any) -> list[Mapping[str, str]]:
        return [client for client in server.client_list() if client["name"] == self._session]

    @contextlib.contextmanager
    def _admin(self, *, timeout_s: float = 5.0) -> Iterator[Any]:
        """A connection for questions that belong to no run; its errors become `Broken`."""
        dsn = named_dsn(self._server_dsn(), "dokkaebi")
        with connection(dsn, self.name, timeout_s=timeout_s) as server:
            yield server
