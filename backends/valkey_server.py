"""One Valkey (or Redis) server process of ours: started, asked about its role, made to follow."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..harness.errors import Broken
from ..harness.household import Household
from .local import Found, LocalServer, readable, wait_until, within
from .network import Address, Site

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
EVERY_SECOND = ("--appendonly", "yes", "--appendfsync", "everysec")
VOLATILE = ("--appendonly", "no")

FILES = "appendonlydir"
"""Where it keeps what it acknowledged."""

SNAPSHOT_S = 10.0


class ValkeyServer(LocalServer):
    """A server in a private folder on a private port; `options` are its command line's."""

    def __init__(
        self,
        household: Household,
        found: Found,
        *,
        name: str = "valkey",
        options: Sequence[str] = DURABLE,
        site: Site | None = None,
    ) -> None:
        super().__init__(household, site=site)
        self.name = name
        self.version = found.version
        self._found = found
        self._options = tuple(options)

    # --- its life --------------------------------------------------------------------------------

    def make(self) -> None:
        """A private folder; not started yet."""
        self._settle_in()

    def launch(self) -> None:
        """Start it and wait until it answers."""
        self._launch()

    def stop(self) -> None:
        """Stop the server and remove its folder; safe to call twice."""
        if self.folder is None:
            return
        self._end(signal.SIGTERM)
        self._move_out()

    def _argv(self) -> list[str]:
        program = readable(self._found.where.parent) / self._found.where.name
        fixed = ["--bind", self.site.listen, "--save", "", "--daemonize", "no"]
        # Nobody but this machine gets to where it listens, and it has no password.
        fixed += ["--protected-mode", "no"]
        where = ["--port", str(self.port), "--dir", str(self.storage)]
        return [str(program), *where, *fixed, *self._options]

    # --- questions -------------------------------------------------------------------------------

    def dsn(self) -> str:
        """The address at which it listens itself."""
        return f"redis://{self.site.host}:{self.port}/0"

    @contextlib.contextmanager
    def admin(self, *, timeout_s: float = 5.0) -> Iterator[Any]:
        """A connection for questions that belong to no run; its errors become `Broken`."""
        with connection(self.dsn(), self.name, timeout_s=timeout_s) as server:
            yield server

    def answers(self) -> bool:
        """Whether the server answers PING within half a second: not while it still loads its data."""

        def ping() -> None:
            with self.admin(timeout_s=0.5) as server:
                server.ping()

        return within(0.5, ping)

    def info(self, section: str) -> dict[str, Any]:
        """A section of INFO."""
        with self.admin(timeout_s=0.5) as server:
            found: dict[str, Any] = server.info(section)
            return found

    def now(self) -> float:
        """The server's wall clock, in seconds since 1970."""
        with self.admin(timeout_s=0.5) as server:
            seconds, micros = server.time()
            return float(seconds + micros / 1e6)

    # --- its files -------------------------------------------------------------------------------

    def logged(self) -> list[Path]:
        """The files of commands, the newest first."""
        return sorted((self.storage / FILES).glob("*.incr.aof"), key=_age)

    def snapshots(self) -> list[Path]:
        """What the commands come after, the newest first."""
        return sorted((self.storage / FILES).glob("*.base.rdb"), key=_age)

    def write_snapshot(self) -> None:
        """Have all that it knows written as a snapshot."""
        with self.admin() as server:
            server.bgrewriteaof()
        if not wait_until(lambda: not self._rewrites(), SNAPSHOT_S):
            raise Broken(f"{self.name} did not write a snapshot within {SNAPSHOT_S:g} s")

    def _rewrites(self) -> bool:
        told = self.info("persistence")
        return bool(told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"])

    def forget(self) -> None:
        """Remove all that it wrote; it is down."""
        shutil.rmtree(self.storage / FILES, ignore_errors=True)

    # --- replication -----------------------------------------------------------------------------

    def role(self) -> str:
        """`primary` or `replica`, as it says itself; `unknown` if it does not answer."""
        try:
            return "primary" if self.info("replication")["role"] == "master" else "replica"
        except Broken:
            return "unknown"

    def follow(self, primary: Address | None) -> None:
        """Be a replica of whoever is reached at this address; None: of nobody."""
        with self.admin() as server:
            if primary is not None:
                server.replicaof(*primary)
            else:
                server.replicaof("NO", "ONE")

    def linked(self) -> bool:
        """Whether it is a replica that has all that its primary had, and hears from it."""
        try:
            told = self.info("replication")
        except Broken:
            return False
        return bool(told["role"] == "slave" and told["master_link_status"] == "up")

    def offset(self) -> int:
        """Up to where it has the stream of changes, in bytes."""
        told = self.info("replication")
        return int(told.get("slave_repl_offset", told["master_repl_offset"]))


def _age(file: Path) -> float:
    return -file.stat().st_mtime


@contextlib.contextmanager
def connection(dsn: str, name: str, *, timeout_s: float = 5.0) -> Iterator[Any]:
    """A connection that tries nothing twice; its errors become `Broken`."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    server = redis.Redis.from_url(
        dsn,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
    try:
        yield server
    except redis.RedisError as error:
        raise Broken(f"{name}: {error}") from error
    finally:
        server.close()
