"""A statement is a read only if it is certain to write nothing."""

import pytest

from dokkaebi.backends.postgres_statements import Kind, kind_of

READS = [
    "SELECT 1",
    "SELECT v FROM t WHERE k = %s FOR UPDATE",
    "SELECT v FROM t FOR NO KEY UPDATE SKIP LOCKED",
    "SELECT coalesce(max(id), 0) + 1, now() FROM t",
    "SELECT v::numeric(10, 2) FROM t WHERE a IN (1, 2) AND EXISTS (SELECT 1)",
    "WITH x AS (SELECT 1) SELECT count(*) FROM x",
    "(SELECT 1) UNION (SELECT 2)",
    "SELECT 1; SELECT 2",
    "-- update t\nSELECT 1",
    "/* delete */ SELECT 'insert; into', $$ ; drop table t $$, e'\\'; delete'",
    'SELECT "update" FROM "insert"',
    "SELECT pg_try_advisory_xact_lock(1)",
    "SELECT pg_catalog.count(*) FROM t",
    "SET LOCAL lock_timeout = '1s'",
    "LOCK TABLE t IN SHARE MODE",
    "COPY t TO STDOUT",
    "EXPLAIN SELECT 1",
    "FETCH 3 FROM c",
    "",
]

WRITES = [
    "INSERT INTO t VALUES (1)",
    "UPDATE t SET v = v + 1",
    "WITH x AS (UPDATE t SET v = 1 RETURNING *) SELECT * FROM x",
    "SELECT nextval('s')",
    "SELECT my_function()",
    "SELECT other.count(1)",
    'SELECT "f"(1)',
    "SELECT * INTO u FROM t",
    "EXPLAIN ANALYZE UPDATE t SET v = 1",
    "UPDATE t SET v = 1; SELECT 1",
    "COPY t FROM STDIN",
    "COPY t TO PROGRAM 'cat'",
    "NOTIFY channel",
    "DECLARE c CURSOR FOR SELECT f()",
    "Template('SELECT 1')",
]

OTHERS = [
    ("BEGIN", Kind.BEGIN),
    ("START TRANSACTION ISOLATION LEVEL SERIALIZABLE", Kind.BEGIN),
    ("COMMIT", Kind.COMMIT),
    ("/* why */ END", Kind.COMMIT),
    ("ROLLBACK", Kind.ROLLBACK),
    ("ABORT", Kind.ROLLBACK),
    ("SAVEPOINT a", Kind.SAVEPOINT),
    ("RELEASE a", Kind.SAVEPOINT),
    ("ROLLBACK TO SAVEPOINT a", Kind.SAVEPOINT),
    ("PREPARE TRANSACTION 'x'", Kind.PREPARE),
    ("PREPARE p AS SELECT 1", Kind.READ),
    ("COMMIT PREPARED 'x'", Kind.ESCAPES),
    ("ROLLBACK PREPARED 'x'", Kind.ESCAPES),
    ("SELECT pg_advisory_lock(1)", Kind.LOCK),
    ("SELECT pg_try_advisory_lock(1)", Kind.LOCK),
    ("SELECT pg_advisory_lock(1), pg_advisory_lock(2)", Kind.ESCAPES),
    ("UPDATE t SET v = setval('s', 1)", Kind.ESCAPES),
    ("BEGIN; UPDATE t SET v = 1; COMMIT", Kind.ESCAPES),
    ("CALL p()", Kind.ESCAPES),
    ("DO $$ begin end $$", Kind.ESCAPES),
]


@pytest.mark.parametrize("text", READS)
def test_reads(text):
    assert kind_of(text) is Kind.READ


@pytest.mark.parametrize("text", WRITES)
def test_writes(text):
    assert kind_of(text) is Kind.WRITE


@pytest.mark.parametrize(("text", "kind"), OTHERS)
def test_what_begins_ends_or_escapes_a_transaction(text, kind):
    assert kind_of(text) is kind
