"""How a lock's section is carried out: with the harness's guarded resource, or the strategy's own."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Mapping
from typing import Any

from ...harness.lease import Lease
from ...harness.protocols import Answer, Ask, Further
from ...harness.trace import plain
from ..session import REFUSED, done, integer, yes_or_no
from .guard import GuardClient


class _Holder:
    """What both sessions share: acquire and release, and the token as the strategy gave it."""

    def __init__(self, strategy: Any, *, ttl: float) -> None:
        self._strategy = strategy
        self._ttl = ttl
        self._token: Any = None

    def call(self, ask: Ask) -> Any:
        """Acquire or release; tokens are handed back as the objects they were."""
        if ask.f == "acquire":
            return self._strategy.acquire(ask.value, self._ttl)
        return self._strategy.release(ask.value, self._token)

    def answer(self, ask: Ask, returned: Any) -> Answer:
        """None (or False) from `acquire` is a refusal; what `release` answers is ignored."""
        if ask.f == "release":
            return done(ask.value, returned)
        if returned is None or returned is False:  # False is no token either
            return Answer(type="fail", error=REFUSED)
        lease = returned if isinstance(returned, Lease) else None
        self._token = returned.token if lease else returned
        return Answer(
            type="ok", result=plain(self._token), ext={"ttl": lease.seconds} if lease else None
        )

    def ended(self, ask: Ask, answer: Answer) -> Answer:
        """Nothing more was done by the same call."""
        return answer

    def close(self) -> None:
        """Nothing was opened."""


class GuardedByUs(_Holder):
    """The lock guards the harness's own small server, with a slow read-modify-write."""

    def __init__(
        self, strategy: Any, *, ttl: float, fencing: bool, address: tuple[str, int] | None
    ) -> None:
        super().__init__(strategy, ttl=ttl)
        self._fencing = fencing
        self._guard = GuardClient(address) if address else None

    def call(self, ask: Ask) -> Any:
        """Guard operations go to the resource, the others to the strategy."""
        if ask.f not in ("guard-read", "guard-write"):
            return super().call(ask)
        if self._guard is None:
            raise RuntimeError("no guarded resource is running")
        token = integer(self._token, "with fencing = True, acquire") if self._fencing else None
        name, write_id = ask.value
        return self._guard.ask(ask.f == "guard-write", name, token, write_id)

    def answer(self, ask: Ask, returned: Any) -> Answer:
        """What the resource answered, with its sequence number."""
        if ask.f not in ("guard-read", "guard-write"):
            return super().answer(ask, returned)
        reply: Mapping[str, Any] = returned
        ext = {**(ask.ext or {}), "seq": reply["seq"]}
        if not reply["ok"]:
            return Answer(type="fail", error=REFUSED, ext=ext)
        return Answer(type="ok", value=[ask.value[0], reply["value"]], ext=ext)

    def close(self) -> None:
        """Leave the resource."""
        if self._guard is not None:
            self._guard.close()


class GuardedByStrategy(_Holder):
    """The strategy brings the resource: `guarded(name, token, step) -> bool`.

    The call is two operations: guard-read up to `step`'s entry, guard-write from `step`'s return.
    """

    def __init__(self, strategy: Any, *, ttl: float) -> None:
        super().__init__(strategy, ttl=ttl)
        self._step: _Step | None = None

    def call(self, ask: Ask) -> Any:
        """`guard-read` is the call of `guarded`, the write included."""
        if ask.f != "guard-read":
            return super().call(ask)
        write_id, hold = ask.hint
        self._step = _Step(write_id, hold)
        slow = inspect.iscoroutinefunction(self._strategy.guarded)
        step = self._step.run_async if slow else self._step.run
        return self._strategy.guarded(ask.value[0], self._token, step)

    def answer(self, ask: Ask, returned: Any) -> Answer:
        """A falsy answer is a refusal: the resource found the token stale."""
        if ask.f != "guard-read":
            return super().answer(ask, returned)
        if returned and (self._step is None or self._step.left is None):
            raise TypeError("guarded() answered yes but never called step(value)")
        return yes_or_no(ask.value, returned)

    def ended(self, ask: Ask, answer: Answer) -> Answer:
        """Split the call where `step` was entered and left; only its last call counts."""
        step = self._step
        if ask.f != "guard-read" or step is None or step.left is None:
            return answer
        name = ask.value[0]
        write = Ask("guard-write", [name, step.write_id], ask.ext)
        return Answer(
            type="ok",
            value=[name, step.old],
            ext=ask.ext,
            time=step.entered,
            then=Further(ask=write, call=step.left, answer=answer),
        )


class _Step:
    """What `guarded` is given: reads are what it is called with, writes are what it answers."""

    def __init__(self, write_id: int, hold: float) -> None:
        self.write_id = write_id
        self._hold = hold
        self.old: int | None = None
        self.entered: int | None = None
        self.left: int | None = None

    def run(self, old: Any) -> int:
        self._enter(old)
        time.sleep(self._hold)
        return self._leave()

    async def run_async(self, old: Any) -> int:
        self._enter(old)
        await asyncio.sleep(self._hold)
        return self._leave()

    def _enter(self, old: Any) -> None:
        self.entered, self.left = time.monotonic_ns(), None
        self.old = integer(old, "the stored value given to step(value)")

    def _leave(self) -> int:
        self.left = time.monotonic_ns()
        return self.write_id
