"""The guarded resource: a small server of the harness's own that a lock is asked to protect.

It overwrites blindly and never compares versions, so that only the lock protects it. With fencing
it refuses a token that is not the greatest it has seen. One process per run, never faulted.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from typing import Any


class Resource:
    """The stored write ids and, with fencing, the greatest token seen per name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, int | None] = {}
        self._greatest: dict[str, int] = {}
        self._seq = 0

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one read or write; `seq` numbers the answers in the order they were given."""
        with self._lock:
            self._seq += 1
            name = request["name"]
            if not self._admits(name, request["token"], write=request["write"]):
                return {"ok": False, "seq": self._seq}
            if request["write"]:
                self._values[name] = request["id"]
            return {"ok": True, "value": self._values.get(name), "seq": self._seq}

    def _admits(self, name: str, token: int | None, *, write: bool) -> bool:
        """An entry needs a token greater than any seen; a write needs the greatest."""
        if token is None:
            return True
        greatest = self._greatest.get(name)
        if write:
            return token == greatest
        if greatest is not None and token <= greatest:
            return False
        self._greatest[name] = token
        return True


class GuardClient:
    """One worker's connection to the resource."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rwb")

    def ask(self, write: bool, name: str, token: int | None, write_id: int | None) -> Any:
        """Read (or, with `write`, overwrite) `name`; the server's answer."""
        request = {"write": write, "name": name, "token": token, "id": write_id}
        self._file.write(json.dumps(request).encode() + b"\n")
        self._file.flush()
        return json.loads(self._file.readline())

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()


def serve() -> None:
    """Listen on a free loopback port, print it, and answer for ever."""
    resource = Resource()

    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(json.dumps(resource.handle(json.loads(line))).encode() + b"\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    serve()
