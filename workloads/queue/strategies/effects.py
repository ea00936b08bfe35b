"""What messages of a broker bring about: rows in PostgreSQL, two of them where it happened twice."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from ....harness.context import Context


class Effects:
    """The table of effects, and what a strategy does with it; `once` is a UNIQUE message."""

    def __init__(self, postgres: Connection[Any]) -> None:
        self._postgres = postgres

    @staticmethod
    def make(ctx: Context, *, once: bool = False) -> None:
        """The table, in the order in which effects were had."""
        unique = "UNIQUE" if once else ""
        ctx.postgres.execute(
            f"CREATE TABLE effect (id bigserial PRIMARY KEY, message jsonb NOT NULL {unique})"
        )
        ctx.postgres.commit()

    def have(self, message: str) -> None:
        """One effect, committed."""
        self._postgres.execute("INSERT INTO effect (message) VALUES (%s)", (message,))
        self._postgres.commit()

    def have_once(self, message: str) -> None:
        """The same, unless it was had already."""
        self._postgres.execute(
            "INSERT INTO effect (message) VALUES (%s) ON CONFLICT DO NOTHING", (message,)
        )
        self._postgres.commit()

    def all(self) -> list[Any]:
        """One statement, one snapshot."""
        rows = self._postgres.execute("SELECT message FROM effect ORDER BY id").fetchall()
        self._postgres.commit()
        return [message for (message,) in rows]
