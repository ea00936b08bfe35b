"""What a statement of MariaDB's SQL can do, told from its text alone; in doubt, that it writes.

As for PostgreSQL (`postgres_statements`), with MariaDB's own traps: what defines tables commits the
open transaction first, BEGIN does, too, and a comment that begins with `/*!` is executed.
"""

from __future__ import annotations

import functools
import re

from .postgres_statements import Kind


@functools.lru_cache(maxsize=8192)
def kind_of(text: str) -> Kind:
    """Classify what one call sends; several statements in one escape every account."""
    if _EXECUTED_COMMENT.search(text):
        return Kind.ESCAPES
    parts = [part for part in (part.strip() for part in _bare(text).split(";")) if part]
    if not parts:
        return Kind.READ
    return _single(parts[0]) if len(parts) == 1 else Kind.ESCAPES


def _bare(text: str) -> str:
    return _HIDDEN.sub(_blank, text).lower()


def _blank(match: re.Match[str]) -> str:
    first = match[0][0]
    if first == "`":
        return "`quoted`"
    return "''" if first in "'\"" else " "


# Strings, quoted names and comments, in which neither a word nor a semicolon means anything.
_HIDDEN = re.compile(
    r"""'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*"|`(?:[^`]|``)*`|--(?=\s|$)[^\n]*|\#[^\n]*|/\*.*?\*/""",
    re.DOTALL,
)
# Looked for within strings as well: there it costs an outcome that is told as unknown.
_EXECUTED_COMMENT = re.compile(r"/\*M?!")


def _single(text: str) -> Kind:
    words = text.lstrip("( \n\t").split(None, 2)
    if not words:
        return Kind.READ
    first, second = words[0], words[1] if len(words) > 1 else ""
    if first == "set":
        return _set(text, second)
    if first in _CONTROL:
        return _control(first, second)
    if first in _HARMLESS:
        return Kind.READ
    if first in ("select", "values", "with", "do", "handler"):
        return _query(text)
    if first in ("insert", "update", "delete", "replace"):
        return max(Kind.WRITE, _functions(text))
    # Tables, users, replication, procedures, prepared statements: whatever is open is committed
    # first, or may be.
    return Kind.ESCAPES


def _set(text: str, second: str) -> Kind:
    """Settings are no data; but one of them commits, and one runs another statement."""
    if second == "statement":
        _, found, rest = text.partition(" for ")
        return _single(rest) if found else Kind.ESCAPES
    if "autocommit" in text:
        return Kind.COMMIT
    return Kind.ESCAPES if second.startswith(("password", "role", "default")) else _functions(text)


def _control(first: str, second: str) -> Kind:
    if first == "xa":
        return _XA.get(second, Kind.ESCAPES)
    if first == "begin" and second == "not":
        return Kind.ESCAPES  # BEGIN NOT ATOMIC: a block of statements
    if first == "start":
        return Kind.BEGIN if second == "transaction" else Kind.ESCAPES
    if first == "rollback" and second == "to":
        return Kind.SAVEPOINT
    return _CONTROL[first]


def _query(text: str) -> Kind:
    if _INTO_FILE.search(text):
        return Kind.ESCAPES
    return _functions(text)


def _functions(text: str) -> Kind:
    """What the functions that are called may do."""
    worst = Kind.READ
    locks = 0
    for schema, name in _CALL.findall(text):
        if schema:
            worst = max(worst, Kind.WRITE)
        elif name in _SESSION_LOCKS:
            locks += 1
        elif name == "setval":
            return Kind.ESCAPES
        elif name not in _PURE and name not in _NO_FUNCTION:
            worst = max(worst, Kind.WRITE)
    if _QUOTED_CALL.search(text) or _NEXT_VALUE.search(text):
        worst = max(worst, Kind.WRITE)
    if locks == 0:
        return worst
    return Kind.LOCK if locks == 1 and worst is Kind.READ else Kind.ESCAPES


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CALL = re.compile(r"(?:([a-z_][\w$]*|`quoted`)\s*\.\s*)?\b([a-z_][\w$]*)\s*\(")
_QUOTED_CALL = re.compile(r"`\s*\(")
_NEXT_VALUE = re.compile(r"\bnext\s+value\s+for\b")
_INTO_FILE = re.compile(r"\binto\s+(?:outfile|dumpfile)\b")

_CONTROL = {
    "begin": Kind.BEGIN,
    "start": Kind.BEGIN,
    "commit": Kind.COMMIT,
    "rollback": Kind.ROLLBACK,
    "savepoint": Kind.SAVEPOINT,
    "release": Kind.SAVEPOINT,
    "xa": Kind.ESCAPES,
}
_XA = {
    "start": Kind.BEGIN,
    "begin": Kind.BEGIN,
    "end": Kind.SAVEPOINT,
    "prepare": Kind.PREPARE,
    "recover": Kind.READ,
}
_HARMLESS = _words("show describe desc explain use help prepare deallocate")
_SESSION_LOCKS = _words("get_lock release_lock release_all_locks")
# Words before a parenthesis that call nothing.
_NO_FUNCTION = _words(
    """select from where and or not in exists any all some as on using values case when then else
    over by having limit offset union except intersect distinct with recursive cross join inner
    left right outer interval between like is set key index into update of for lock partition
    char varchar decimal binary signed unsigned insert delete replace duplicate ignore force use
    returning div xor do rlike regexp rows range table straight_join"""
)
_PURE = _words(
    """count sum max min avg std stddev variance bit_and bit_or bit_xor group_concat row_number
    rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
    coalesce nullif ifnull if greatest least abs ceil ceiling floor round truncate sign mod pow
    power sqrt exp ln log log2 log10 rand pi crc32 conv hex unhex bin oct md5 sha1 sha2 uuid
    length char_length character_length octet_length bit_length lower upper lcase ucase trim ltrim
    rtrim substr substring substring_index mid locate position instr left right replace insert
    reverse repeat space lpad rpad concat concat_ws field find_in_set elt make_set format quote
    ascii ord char cast convert regexp_replace regexp_substr regexp_instr to_base64 from_base64
    now sysdate curdate curtime current_date current_time current_timestamp localtime
    localtimestamp utc_date utc_time utc_timestamp unix_timestamp from_unixtime date time
    timestamp date_add date_sub adddate subdate addtime subtime datediff timediff timestampdiff
    timestampadd date_format str_to_date time_format year month day hour minute second microsecond
    week weekday dayofweek dayofyear last_day makedate maketime extract interval
    last_insert_id row_count found_rows connection_id current_user session_user system_user user
    database schema version sleep benchmark is_free_lock is_used_lock master_gtid_wait
    master_pos_wait lastval
    json_extract json_value json_query json_array json_object json_length json_contains json_keys
    json_search json_type json_unquote json_quote json_valid json_set json_insert json_replace
    json_remove json_merge json_arrayagg json_objectagg json_array_append json_exists"""
)
