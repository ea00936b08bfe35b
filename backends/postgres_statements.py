"""What a statement of PostgreSQL's SQL can do, told from its text alone; in doubt, that it writes.

A statement reads only if it is a query that calls no function but those known to be harmless.
What a view, an operator or a trigger of a read hides is not seen.
"""

from __future__ import annotations

import enum
import functools
import re


class Kind(enum.IntEnum):
    """What a statement does to the account of an operation."""

    READ = 0
    WRITE = 1
    """Writes; a rollback takes it back."""
    BEGIN = 2
    COMMIT = 3
    ROLLBACK = 4
    SAVEPOINT = 5
    """SAVEPOINT, RELEASE, ROLLBACK TO: decides nothing before the outer transaction ends."""
    PREPARE = 6
    """PREPARE TRANSACTION: from then on somebody else may commit it."""
    LOCK = 7
    """One session-level advisory lock: no rollback takes it back, but an error took none."""
    ESCAPES = 8
    """Works outside the transaction, or several transactions in one: an error proves nothing."""


@functools.lru_cache(maxsize=8192)
def kind_of(text: str) -> Kind:
    """Classify what one call sends, which may be several statements."""
    kinds = [_single(part) for part in _split(text)]
    if not kinds:
        return Kind.READ
    if len(kinds) == 1:
        return kinds[0]
    if all(kind in (Kind.READ, Kind.WRITE) for kind in kinds):
        return max(kinds)  # several in one message are one transaction
    return Kind.ESCAPES


def _split(text: str) -> list[str]:
    bare = _HIDDEN.sub(_blank, text).lower()
    return [part for part in (part.strip() for part in bare.split(";")) if part]


def _blank(match: re.Match[str]) -> str:
    hidden = match[0]
    if hidden.startswith('"'):
        return '"quoted"'
    return " " if hidden.startswith(("--", "/*")) else "''"


# Comments, strings and quoted names, in which neither a word nor a semicolon means anything.
_HIDDEN = re.compile(
    r"""--[^\n]*|/\*.*?\*/|[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\1\$""",
    re.DOTALL,
)


def _single(text: str) -> Kind:
    words = text.lstrip("( \n\t").split(None, 2)
    if not words:
        return Kind.READ
    first, second = words[0], words[1] if len(words) > 1 else ""
    if first in _CONTROL:
        return _control(first, second)
    if first in _HARMLESS:
        return Kind.READ
    if first in ("call", "do"):
        return Kind.ESCAPES  # a procedure may commit in the middle
    if first in ("select", "values", "table", "with", "declare", "explain", "copy"):
        return _query(first, text)
    return max(Kind.WRITE, _functions(text))


def _control(first: str, second: str) -> Kind:
    if second == "prepared":
        return Kind.ESCAPES
    if first == "prepare":
        return Kind.PREPARE if second == "transaction" else Kind.READ
    if first in ("rollback", "abort") and second == "to":
        return Kind.SAVEPOINT
    return _CONTROL[first]


def _query(first: str, text: str) -> Kind:
    if first == "copy" and not re.search(r"\bto\s+stdout\b", text):
        return Kind.WRITE
    if _WRITING_WORD.search(text):
        return max(Kind.WRITE, _functions(text))
    return _functions(text)


def _functions(text: str) -> Kind:
    """What the functions that are called may do."""
    worst = Kind.READ
    locks = 0
    for schema, name in _CALL.findall(text):
        if schema not in ("", "pg_catalog"):
            worst = max(worst, Kind.WRITE)
        elif name in _SESSION_LOCKS:
            locks += 1
        elif name in _ESCAPING:
            return Kind.ESCAPES
        elif name not in _PURE and name not in _NO_FUNCTION:
            worst = max(worst, Kind.WRITE)
    if _QUOTED_CALL.search(text):
        worst = max(worst, Kind.WRITE)
    if locks == 0:
        return worst
    return Kind.LOCK if locks == 1 and worst is Kind.READ else Kind.ESCAPES


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CALL = re.compile(r"(?:([a-z_][\w$]*|\"[^\"]*\")\s*\.\s*)?\b([a-z_][\w$]*)\s*\(")
_QUOTED_CALL = re.compile(r'"\s*\(')
# FOR [NO KEY] UPDATE only locks; INTO makes a table.
_WRITING_WORD = re.compile(
    r"\b(?:insert|delete|merge|into|analyze)\b|(?<!for )(?<!for no key )\bupdate\b"
)

_CONTROL = {
    "begin": Kind.BEGIN,
    "start": Kind.BEGIN,
    "commit": Kind.COMMIT,
    "end": Kind.COMMIT,
    "rollback": Kind.ROLLBACK,
    "abort": Kind.ROLLBACK,
    "savepoint": Kind.SAVEPOINT,
    "release": Kind.SAVEPOINT,
    "prepare": Kind.PREPARE,
}
_HARMLESS = _words(
    "show set reset listen unlisten lock deallocate discard close fetch move checkpoint"
)
_SESSION_LOCKS = _words(
    """pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared
    pg_advisory_unlock pg_advisory_unlock_shared pg_advisory_unlock_all"""
)
_ESCAPING = _words(
    """setval dblink dblink_exec dblink_send_query pg_logical_emit_message pg_terminate_backend
    pg_cancel_backend lo_export pg_promote pg_switch_wal pg_reload_conf pg_file_write"""
)
# Words before a parenthesis that call nothing: keywords, and types with a length.
_NO_FUNCTION = _words(
    """select from where and or not in exists any all some as on using values case when then else
    over filter within group by order having limit offset union except intersect distinct with
    recursive materialized lateral cross join inner left right full outer array row cast interval
    between like ilike is returning set partition window rows range groups sets rollup cube only
    varchar char character numeric decimal bit varying timestamp time timestamptz float precision
    of for update share key declare cursor copy explain format to lock table into insert update
    delete conflict do nothing merge matched overriding default constraint"""
)
_PURE = _words(
    """count sum max min avg stddev variance bool_and bool_or every string_agg array_agg json_agg
    jsonb_agg json_object_agg jsonb_object_agg row_number rank dense_rank percent_rank cume_dist
    ntile lag lead first_value last_value nth_value percentile_cont percentile_disc mode
    coalesce nullif greatest least abs ceil ceiling floor round trunc sign mod power sqrt exp ln
    log div random gen_random_uuid uuidv4 uuidv7
    length char_length octet_length lower upper initcap trim btrim ltrim rtrim substr substring
    position strpos left right replace translate reverse repeat lpad rpad split_part concat
    concat_ws format quote_ident quote_literal md5 sha256 hashtext hashtextextended encode decode
    ascii chr to_char to_number to_date to_timestamp regexp_replace regexp_match regexp_matches
    starts_with string_to_array array_to_string
    now clock_timestamp statement_timestamp transaction_timestamp timeofday date_trunc date_part
    extract age make_interval make_date make_timestamptz justify_interval current_timestamp
    current_date localtimestamp current_setting current_user session_user current_schema
    current_database version pg_typeof pg_backend_pid pg_sleep inet_server_port
    txid_current txid_current_if_assigned txid_current_snapshot txid_status pg_current_xact_id
    pg_current_xact_id_if_assigned pg_current_snapshot pg_xact_status pg_snapshot_xmin
    pg_current_wal_lsn pg_current_wal_insert_lsn pg_last_wal_replay_lsn pg_last_wal_receive_lsn
    pg_wal_lsn_diff pg_is_in_recovery pg_blocking_pids pg_safe_snapshot_blocking_pids
    pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_xact_lock
    pg_try_advisory_xact_lock_shared
    generate_series unnest array_length array_upper array_lower cardinality array_append
    array_prepend array_cat array_position array_remove array_replace array_ndims
    to_json to_jsonb row_to_json json_build_object jsonb_build_object json_build_array
    jsonb_build_array json_array_length jsonb_array_length json_array_elements
    jsonb_array_elements json_array_elements_text jsonb_array_elements_text json_each jsonb_each
    json_each_text jsonb_each_text json_object_keys jsonb_object_keys json_extract_path
    jsonb_extract_path json_extract_path_text jsonb_extract_path_text jsonb_set jsonb_insert
    jsonb_strip_nulls int4range int8range numrange tsrange tstzrange daterange isempty
    has_table_privilege to_regclass pg_relation_size pg_get_serial_sequence"""
)
