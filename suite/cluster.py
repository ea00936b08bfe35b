"""Tasks on a Dask cluster: `--cluster tcp://HOST:PORT`.

Workers need Dokkaebi, the servers, and strategies' files under the same paths. A task whose worker
is lost is carried out again by another one, as often as the scheduler allows
(`distributed.scheduler.allowed-failures`); what a run wrote comes home with its outcome.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import msgspec

from ..harness.errors import Unavailable
from .executor import Child
from .tasks import Outcome, Task, encode

MISSING = "--cluster needs Dask's distributed: pip install 'dokkaebi[dask]'"


class Cluster:
    """An executor that hands tasks to the workers of a Dask cluster."""

    at_home = False

    def __init__(self, address: str, *, patience_s: float = 10.0) -> None:
        try:
            import distributed
        except ImportError:
            raise Unavailable(MISSING) from None
        try:
            connect: Any = distributed.Client
            self._client = connect(address, timeout=patience_s, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise Unavailable(f"--cluster {address}: no scheduler answers there: {error}") from None
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        self.slots = max(1, sum(worker["nthreads"] for worker in workers.values()))

    def submit(self, task: Task) -> Future[Outcome]:
        """Hand it to a worker that is free."""
        answered: Future[Outcome] = Future()
        theirs = self._client.submit(carried_out, encode(task), pure=False)
        theirs.add_done_callback(lambda done: _answer(answered, done, task))
        return answered

    def close(self) -> None:
        """Take leave of the cluster; what is still going on there is cancelled."""
        self._client.close()


def _answer(answered: Future[Outcome], done: Any, task: Task) -> None:
    if done.cancelled():
        answered.set_result(Outcome(seed=task.wish.seed, said="unknown", interrupted=True))
        return
    try:
        answered.set_result(msgspec.json.decode(done.result(), type=Outcome))
    except Exception as error:
        reason = f"the cluster lost it: {type(error).__name__}: {error}"
        answered.set_result(Outcome(seed=task.wish.seed, said="broke", reason=reason))


_OURS = threading.local()


def carried_out(line: bytes) -> bytes:
    """What a worker does: the task, in a process of its own kept by each thread."""
    child: Child | None = getattr(_OURS, "child", None)
    if child is None:
        child = _OURS.child = Child()
    return encode(child.carry_out(msgspec.json.decode(line, type=Task)))
