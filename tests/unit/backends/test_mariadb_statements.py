"""What a statement of MariaDB can do: a read only if it is certain to write nothing."""

import pytest

from dokkaebi.backends.mariadb_statements import kind_of
from dokkaebi.backends.postgres_statements import Kind

READS = [
    "SELECT 1",
    "SELECT v FROM t WHERE k = %s FOR UPDATE",
    "SELECT v FROM t WHERE k = %s LOCK IN SHARE MODE",
    "SELECT coalesce(max(id), 0) + 1, now() FROM `t` WHERE a IN (1, 2) AND EXISTS (SELECT 1)",
    "WITH x AS (SELECT 1) SELECT count(*) FROM x",
    "(SELECT 1) UNION (SELECT 2)",
    "SELECT v INTO @v FROM t",
    "-- update t\nSELECT 1",
    "# delete\nSELECT 1",
    "/* delete */ SELECT 'insert; into', \"; drop\", 'it\\'s; delete'",
    "SELECT `update` FROM `insert; into`",
    "SET SESSION innodb_snapshot_isolation = ON",
    "SET NAMES utf8mb4",
    "SHOW WARNINGS",
    "EXPLAIN UPDATE t SET v = 1",
    "USE other",
    "",
]

WRITES = [
    "INSERT INTO t VALUES (1)",
    "INSERT IGNORE INTO t (a, b) VALUES (%s, %s)",
    "INSERT INTO t VALUES (1) RETURNING id",
    "UPDATE t SET v = v + 1",
    "REPLACE INTO t VALUES (1)",
    "DELETE FROM t",
    "SELECT nextval(s)",
    "SELECT NEXT VALUE FOR s",
    "SELECT my_function()",
    "SELECT `f`(1)",
    "SELECT other.count(1)",
    "SET @x = my_function()",
    "SET STATEMENT max_statement_time = 1 FOR UPDATE t SET v = 1",
]

OTHERS = [
    ("BEGIN", Kind.BEGIN),
    ("START TRANSACTION WITH CONSISTENT SNAPSHOT", Kind.BEGIN),
    ("COMMIT AND CHAIN", Kind.COMMIT),
    ("SET autocommit = 1", Kind.COMMIT),
    ("ROLLBACK", Kind.ROLLBACK),
    ("ROLLBACK TO SAVEPOINT a", Kind.SAVEPOINT),
    ("SAVEPOINT a", Kind.SAVEPOINT),
    ("RELEASE SAVEPOINT a", Kind.SAVEPOINT),
    ("XA START 'a'", Kind.BEGIN),
    ("XA PREPARE 'a'", Kind.PREPARE),
    ("SELECT get_lock('a', 1)", Kind.LOCK),
]

ESCAPES = [
    # What defines tables commits what was open before.
    "CREATE TABLE t (id int)",
    "TRUNCATE t",
    "DROP TABLE t, u",
    "LOCK TABLES t WRITE",
    "ANALYZE UPDATE t SET v = 1",
    "CALL p()",
    "EXECUTE s",
    "XA COMMIT 'a'",
    "BEGIN NOT ATOMIC INSERT INTO t VALUES (1); END",
    "UPDATE t SET v = 1; SELECT 1",
    "SELECT 1 /*! INTO OUTFILE 'x' */",
    "SELECT 1 /*M!100000 , my_function() */",
    "SELECT 1 INTO OUTFILE 'x'",
    "SELECT get_lock('a', 1), get_lock('b', 1)",
    "SELECT setval(s, 1)",
    "KILL 1",
    "SET PASSWORD = ''",
]


@pytest.mark.parametrize("text", READS)
def test_reads(text):
    assert kind_of(text) is Kind.READ


@pytest.mark.parametrize("text", WRITES)
def test_writes(text):
    assert kind_of(text) is Kind.WRITE


@pytest.mark.parametrize(("text", "kind"), OTHERS)
def test_others(text, kind):
    assert kind_of(text) is kind
    assert kind_of(f"  {text.lower()} ; ") is kind


@pytest.mark.parametrize("text", ESCAPES)
def test_what_no_rollback_takes_back(text):
    assert kind_of(text) is Kind.ESCAPES
