"""The worker's side of etcd: a small client of the JSON gateway, over one HTTP connection.

It records what it sends, tries nothing twice, and stays with the member it was opened on: when the
connection is lost every further call raises, and the client is opened anew.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from ..harness.protocols import ClientOptions
from .worker import Ledger, NotSent, Refused, Worker, in_turn, plainly

DEFINITE: Mapping[int, str] = {
    3: "the request was refused as it stands",
    5: "there is no such lease",
    7: "not permitted",
    9: "the precondition does not hold",
    11: "that revision is gone, or not there yet",
    12: "the server does not know this request",
    16: "not authenticated",
}
"""gRPC status code -> why nothing was done. Unavailable (14) and Unknown (2) are also what a
proposal is answered that was on its way when its leader was lost, and ResourceExhausted (8) what
the put is answered that filled the store: it was done."""

OPEN_S = 1.0
"""How long a member may take to say that it has a leader."""

Target = Literal["create", "mod", "version", "value"]
Compare = tuple[Target, str, int | str]
Step = tuple[Any, ...]

_FIELDS = {"create": "create_revision", "mod": "mod_revision", "version": "version"}
_READS = frozenset({"kv/range", "lease/timetolive", "maintenance/status"})


class EtcdError(Refused):
    """What etcd answered instead; `code` is gRPC's."""


class KeyValue(msgspec.Struct, frozen=True):
    """A key as the store has it."""

    key: str
    value: str
    created: int
    """The revision that created it."""
    modified: int
    """The revision that wrote it last."""


class Txn(msgspec.Struct, frozen=True):
    """How a transaction ended: which branch ran, what its steps answered, and at which revision."""

    succeeded: bool
    answers: Sequence[Any]
    revision: int


class EtcdClient:
    """`ctx.etcd`: keys and values are text, leases and revisions integers. No call is retried.

    Steps of transactions are `("put", key, value)`, `("put", key, value, lease)`, `("get", key)`
    and `("delete", key)`; what they depend on is `("create"|"mod"|"version", key, number)` or
    `("value", key, text)`, all of them equal.
    """

    def __init__(self, line: http.client.HTTPConnection, ledger: Ledger) -> None:
        self._line = line
        self._ledger = ledger
        self.lost = False
        """Its connection ended; there will be no other."""

    # --- keys ------------------------------------------------------------------------------------

    def get(self, key: str) -> KeyValue | None:
        """A key, as the majority has it (a linearizable read)."""
        return _first(self._call("kv/range", {"key": _coded(key)}))

    def get_prefix(self, prefix: str) -> list[KeyValue]:
        """All keys that begin so, of one moment."""
        asked = {"key": _coded(prefix), "range_end": _coded(prefix[:-1] + chr(ord(prefix[-1]) + 1))}
        return [_key_value(each) for each in self._call("kv/range", asked).get("kvs", ())]

    def put(self, key: str, value: Any, *, lease: int = 0) -> int:
        """Write a key; with a lease it goes when that ends. Answers the store's revision."""
        return _revision(self._call("kv/put", _put(key, value, lease)))

    def delete(self, key: str) -> bool:
        """Whether there was something to delete."""
        return bool(int(self._call("kv/deleterange", {"key": _coded(key)}).get("deleted", 0)))

    def txn(
        self, when: Iterable[Compare], then: Iterable[Step], otherwise: Iterable[Step] = ()
    ) -> Txn:
        """If all comparisons hold do `then`, if not `otherwise`; all in one moment."""
        asked = {
            "compare": [_compare(*each) for each in when],
            "success": [_step(*each) for each in then],
            "failure": [_step(*each) for each in otherwise],
        }
        told = self._call("kv/txn", asked)
        answers = [_answer(each) for each in told.get("responses", ())]
        return Txn(bool(told.get("succeeded")), answers, _revision(told))

    # --- leases ----------------------------------------------------------------------------------

    def grant(self, seconds: int) -> int:
        """A new lease; what is put with it goes when it is not kept alive for so long."""
        return int(self._call("lease/grant", {"TTL": seconds})["ID"])

    def keep_alive(self, lease: int) -> int:
        """Begin the lease's time again; the seconds it has, 0 if it has ended."""
        told = self._call("lease/keepalive", {"ID": str(lease)})
        return int(told.get("result", told).get("TTL", 0))

    def revoke(self, lease: int) -> bool:
        """End a lease, and what was put with it; whether it had not ended before."""
        try:
            self._call("lease/revoke", {"ID": str(lease)})
        except EtcdError as error:
            if error.code != 5:
                raise
            return False
        return True

    # --- the wire --------------------------------------------------------------------------------

    def _call(self, path: str, request: dict[str, Any]) -> Any:
        return self._ledger.told(
            path,
            request,
            lambda: self._exchange(path, request),
            writes=path not in _READS,
            definite=is_definite,
            wrote=lambda told: _wrote(path, request, told),
            shown=_shown,
        )

    def _exchange(self, path: str, request: dict[str, Any]) -> Any:
        if self.lost:
            raise NotSent("the connection to etcd was lost; nothing was sent")
        try:
            self._line.request("POST", f"/v3/{path}", json.dumps(request))
            told = json.loads(self._line.getresponse().read())
        except http.client.NotConnected as error:
            self.lost = True
            raise NotSent("the connection to etcd was closed; nothing was sent") from error
        except BaseException:
            self.lost = True
            raise
        # http.client lets go of a connection that the server wants to end.
        self.lost = self._line.sock is None
        if "error" in told:
            raise EtcdError(int(told.get("code", 2)), str(told["error"]))
        return told


def open_client(arguments: Mapping[str, Any], options: ClientOptions) -> EtcdWorker:
    """Connect to the first member, beginning with another for each worker, that has a leader."""
    plainly(options, "etcd")
    error: Exception = NotSent("there are no members")
    for port in in_turn(arguments, options):
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=OPEN_S)
        try:
            line.connect()
            line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.auto_open = 0  # or it would connect anew by itself
            line.request("POST", "/v3/maintenance/status", "{}")
            told = json.loads(line.getresponse().read())
            if not int(told.get("leader", 0)):
                raise NotSent("a member knows no leader")
        except (OSError, http.client.HTTPException, ValueError) as why:
            line.close()
            error = why
            continue
        line.sock.settimeout(options.timeout_s)
        ledger = Ledger(options.tracer, str(arguments["node"]))
        return EtcdWorker(EtcdClient(line, ledger), line, ledger)
    raise error


class EtcdWorker(Worker):
    """What the harness has of an `EtcdClient`."""

    server = "etcd"
    recorded_in = frozenset({__name__})

    def __init__(
        self, handle: EtcdClient, line: http.client.HTTPConnection, ledger: Ledger
    ) -> None:
        super().__init__(handle, ledger, line.sock.getsockname()[1])
        self._line = line
        self._socket = line.sock

    def definite(self, error: BaseException) -> bool:
        """Whether this error is in etcd's table of definite errors."""
        return is_definite(error)

    def lost(self) -> bool:
        """Whether its connection ended."""
        return bool(self.handle.lost)

    def line(self) -> socket.socket:
        """Its connection."""
        return self._socket

    def close(self) -> None:
        """Close the connection."""
        with self._guard:
            self.handle.lost = True
            self._line.close()
            self._socket.close()


def is_definite(error: BaseException) -> bool:
    """Whether this is raised only where nothing was done."""
    return isinstance(error, NotSent) or (isinstance(error, EtcdError) and error.code in DEFINITE)


# --- how the gateway writes things ---------------------------------------------------------------


def _coded(text: Any) -> str:
    return base64.b64encode(str(text).encode()).decode()


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode("utf-8", "backslashreplace")


def _key_value(told: Mapping[str, Any]) -> KeyValue:
    return KeyValue(
        key=_decoded(told["key"]),
        value=_decoded(told.get("value", "")),
        created=int(told["create_revision"]),
        modified=int(told["mod_revision"]),
    )


def _first(told: Mapping[str, Any]) -> KeyValue | None:
    return next((_key_value(each) for each in told.get("kvs", ())), None)


def _revision(told: Mapping[str, Any]) -> int:
    return int(told["header"]["revision"])


def _put(key: str, value: Any, lease: int = 0) -> dict[str, Any]:
    return {"key": _coded(key), "value": _coded(value), "lease": str(lease)}


def _compare(target: Target, key: str, expected: int | str) -> dict[str, Any]:
    asked: dict[str, Any] = {"key": _coded(key), "result": "EQUAL", "target": target.upper()}
    if target == "value":
        return asked | {"value": _coded(expected)}
    return asked | {_FIELDS[target]: str(expected)}


def _step(do: str, key: str, *rest: Any) -> dict[str, Any]:
    if do == "put":
        return {"request_put": _put(key, *rest)}
    name = {"get": "request_range", "delete": "request_delete_range"}[do]
    return {name: {"key": _coded(key)}}


def _answer(told: Mapping[str, Any]) -> Any:
    if "response_range" in told:
        return _first(told["response_range"])
    if "response_delete_range" in told:
        return bool(int(told["response_delete_range"].get("deleted", 0)))
    return None


def _wrote(path: str, request: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether a call that was answered has written: of a transaction only one branch ran."""
    if path != "kv/txn":
        return path not in _READS
    branch = request["success" if told.get("succeeded") else "failure"]
    return any("request_range" not in step for step in branch)


def _shown(value: Any) -> Any:
    """What goes into the trace: keys and values as text, without the headers."""
    if isinstance(value, dict):
        return {
            name: _decoded(each)
            if name in ("key", "value", "range_end") and isinstance(each, str)
            else _shown(each)
            for name, each in value.items()
            if name != "header"
        }
    return [_shown(each) for each in value] if isinstance(value, list) else value
