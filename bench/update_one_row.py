"""The load of bench/load.py: one transaction that updates one of many rows by key."""

from typing import Any

from psycopg import Connection


class UpdateOneRow:
    """BEGIN; UPDATE one row; COMMIT, as pgbench's script has it."""

    workload = "counter"
    needs = ("postgres",)
    expect = "safe"
    postgres: Connection[Any]

    def setup(self, ctx: Any) -> None:
        """One row per key."""
        with ctx.postgres.transaction(), ctx.postgres.cursor() as cursor:
            cursor.execute("CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL)")
            cursor.executemany("INSERT INTO counter VALUES (%s, %s)", ctx.initial.items())

    def open(self, ctx: Any) -> None:
        """Keep the connection, and one cursor for all updates."""
        self.postgres = ctx.postgres
        self.cursor = ctx.postgres.cursor()

    def add(self, key: int, delta: int) -> None:
        """One transaction."""
        self.cursor.execute("UPDATE counter SET n = n + %s WHERE id = %s", (delta, key))
        self.postgres.commit()

    def read(self, key: int) -> int:
        """One statement."""
        row = self.postgres.execute("SELECT n FROM counter WHERE id = %s", (key,)).fetchone()
        self.postgres.commit()
        return row[0] if row else 0
