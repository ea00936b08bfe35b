"""A process that carries out tasks, one after another, on servers of its own.

`python -m dokkaebi.suite.child` reads a task a line and answers an outcome a line. When nobody
listens any more it ends, and so do its servers.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from typing import BinaryIO

import msgspec

from ..compose import Servers
from ..harness.household import Household
from .tasks import Task, carry_out, encode

ENOUGH = 5
"""Servers kept from one task to the next: those used longest ago are stopped."""


def main() -> None:
    """Carry out what comes on standard input until it ends."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    answers = _private_stdout()
    tasks: queue.Queue[bytes | None] = queue.Queue()
    threading.Thread(target=_listen, args=(tasks,), daemon=True).start()
    with Household() as household, Servers(household) as servers:
        while (line := tasks.get()) is not None:
            outcome = carry_out(msgspec.json.decode(line, type=Task), servers)
            answers.write(encode(outcome) + b"\n")
            answers.flush()
            servers.keep(ENOUGH)


def _private_stdout() -> BinaryIO:
    """Our own way to answer: what strategies print goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _listen(tasks: queue.Queue[bytes | None]) -> None:
    for line in sys.stdin.buffer:
        tasks.put(line)
    tasks.put(None)
    # Nobody waits for the task that is going on: end it as Ctrl-C does.
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
