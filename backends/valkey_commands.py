"""What Valkey's commands can do, told from their names, and the server's definite error replies.

Valkey takes nothing back: a command that was answered has happened. Unknown commands write.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Mapping
from typing import Any


class Kind(enum.Enum):
    """What a command does to the account of an operation."""

    READ = "read"
    WRITE = "write"
    SCRIPT = "script"
    """Its error reply proves nothing: what it wrote before it raised stays written."""
    MULTI = "multi"
    EXEC = "exec"
    DISCARD = "discard"
    WATCH = "watch"
    UNWATCH = "unwatch"
    SUBSCRIBE = "subscribe"


@functools.lru_cache(maxsize=1024)
def kind_of(name: str | bytes) -> Kind:
    """Classify a command by its name, `CLIENT ID` like `CLIENT`, in any case."""
    words = (name.decode("utf-8", "replace") if isinstance(name, bytes) else name).upper().split()
    first = words[0] if words else ""
    if first in _SPECIAL:
        return _SPECIAL[first]
    if first in _READS or " ".join(words[:2]) in _READS:
        return Kind.READ
    return Kind.WRITE


def did_nothing(args: tuple[Any, ...], reply: Any) -> bool:
    """Whether a write's reply says that nothing was there to change."""
    if reply is not None and reply != 0:
        return False
    name = str(args[0]).upper()
    if name == "SET":  # with GET the reply is the old value, and nil says only that there was none
        return reply is None and not any(str(word).upper() == "GET" for word in args[3:])
    return name in (_NIL_IS_NOTHING if reply is None else _ZERO_IS_NOTHING)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SPECIAL = {
    "EVAL": Kind.SCRIPT,
    "EVALSHA": Kind.SCRIPT,
    "FCALL": Kind.SCRIPT,
    "MULTI": Kind.MULTI,
    "EXEC": Kind.EXEC,
    "DISCARD": Kind.DISCARD,
    "WATCH": Kind.WATCH,
    "UNWATCH": Kind.UNWATCH,
    "SUBSCRIBE": Kind.SUBSCRIBE,
    "PSUBSCRIBE": Kind.SUBSCRIBE,
    "SSUBSCRIBE": Kind.SUBSCRIBE,
}

_READS = _words(
    """GET MGET STRLEN GETRANGE SUBSTR GETBIT BITCOUNT BITPOS BITFIELD_RO LCS EXISTS TYPE TTL PTTL
    EXPIRETIME PEXPIRETIME DUMP KEYS SCAN RANDOMKEY DBSIZE TOUCH SORT_RO OBJECT HGET HMGET HGETALL
    HKEYS HVALS HLEN HEXISTS HSTRLEN HSCAN HRANDFIELD HTTL HPTTL LINDEX LLEN LRANGE LPOS SMEMBERS
    SISMEMBER SMISMEMBER SCARD SRANDMEMBER SSCAN SINTER SUNION SDIFF SINTERCARD ZSCORE ZMSCORE
    ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZRANGEBYLEX ZREVRANGEBYLEX ZRANK ZREVRANK
    ZCARD ZCOUNT ZLEXCOUNT ZSCAN ZRANDMEMBER ZINTER ZUNION ZDIFF ZINTERCARD GEOPOS GEODIST GEOHASH
    GEOSEARCH GEORADIUS_RO GEORADIUSBYMEMBER_RO PFCOUNT XLEN XRANGE XREVRANGE XREAD XINFO XPENDING
    EVAL_RO EVALSHA_RO FCALL_RO PING ECHO TIME INFO ROLE LASTSAVE COMMAND HELLO AUTH SELECT RESET
    QUIT READONLY READWRITE WAIT WAITAOF UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE PUBSUB
    MEMORY LATENCY SLOWLOG CLUSTER"""
) | {
    f"{name} {word}"
    for name, words in {
        "SCRIPT": "LOAD EXISTS",
        "CLIENT": "ID INFO LIST GETNAME SETNAME SETINFO TRACKING CACHING REPLY GETREDIR",
        "CONFIG": "GET",
        "FUNCTION": "LIST STATS DUMP",
        "ACL": "WHOAMI LIST CAT USERS GETUSER",
        "DEBUG": "SLEEP",
    }.items()
    for word in words.split()
}

_NIL_IS_NOTHING = _words(
    "LPOP RPOP SPOP GETDEL BLPOP BRPOP BLMOVE LMOVE RPOPLPUSH BRPOPLPUSH XREADGROUP"
)
_ZERO_IS_NOTHING = _words(
    """SETNX MSETNX HSETNX RENAMENX DEL UNLINK HDEL SREM ZREM LREM XDEL XACK EXPIRE PEXPIRE EXPIREAT
    PEXPIREAT PERSIST MOVE COPY SMOVE SADD LPUSHX RPUSHX PUBLISH DELIFEQ"""
)

# --- error replies -------------------------------------------------------------------------------

DEFINITE: Mapping[str, str] = {
    "ERR": "the command was refused",
    "WRONGTYPE": "the key holds another type",
    "OOM": "the server is out of memory and refuses writes",
    "MOVED": "the slot is on another node",
    "ASK": "the slot is moving to another node",
    "TRYAGAIN": "the slot is moving",
    "CROSSSLOT": "the keys are on different nodes",
    "CLUSTERDOWN": "the cluster does not serve",
    "READONLY": "a replica refuses writes",
    "LOADING": "the server is still loading its data",
    "MASTERDOWN": "the replica lost its primary and refuses to serve",
    "NOREPLICAS": "too few replicas are attached: the write was refused",
    "MISCONF": "the server cannot persist and refuses writes",
    "BUSY": "a script is running: the command was refused",
    "NOSCRIPT": "no such script: it was not run",
    "EXECABORT": "the transaction was discarded",
    "NOAUTH": "not authenticated",
    "WRONGPASS": "wrong password",
    "NOPERM": "not permitted",
    "BUSYKEY": "the key exists already",
    "BUSYGROUP": "the consumer group exists already",
    "NOGROUP": "no such consumer group",
    "NOPROTO": "the protocol is not spoken",
}
"""Reply code -> reason. Whether a *script* or EXEC was answered with it is the account's business."""

PROVEN_OF_SCRIPTS = frozenset({"NOSCRIPT", "READONLY", "LOADING", "EXECABORT"})
"""The only replies after which a script or an EXEC certainly did nothing."""

# redis-py takes the code off the text of those it has classes for.
_CLASSES = {
    "OutOfMemoryError": "OOM",
    "ExecAbortError": "EXECABORT",
    "BusyLoadingError": "LOADING",
    "NoScriptError": "NOSCRIPT",
    "ReadOnlyError": "READONLY",
    "NoPermissionError": "NOPERM",
    "AuthenticationError": "NOAUTH",
    "AskError": "ASK",
    "TryAgainError": "TRYAGAIN",
    "MovedError": "MOVED",
    "ClusterDownError": "CLUSTERDOWN",
    "ClusterCrossSlotError": "CROSSSLOT",
    "MasterDownError": "MASTERDOWN",
}
_PIPELINED = re.compile(r"^Command # \d+ \(.*?\) of pipeline caused error: ", re.DOTALL)


def reply_code(error: BaseException) -> str | None:
    """The code of an error reply as redis-py raises it; None when it is no reply of a server."""
    name = type(error).__name__
    if name in _CLASSES:
        return _CLASSES[name]
    if name != "ResponseError":
        return None
    first = _PIPELINED.sub("", str(error)).split(" ", 1)[0]
    # Its own text begins with a code, unless the code was ERR, which redis-py takes off as well.
    return first if re.fullmatch(r"[A-Z][A-Z0-9_]+", first) else "ERR"
