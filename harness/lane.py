"""One worker: a thread that carries out its stream of operations, one client after another.

The invocation is on its way to the disk before the strategy is called. A call that outlives its
deadline is completed as `info` from outside, its sockets are shut down, and the worker goes on
under its next process id on a new thread; what the old thread still hears goes to the trace only.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from typing import Any

import msgspec

from .history import Op, Phase
from .outcomes import describe
from .protocols import Answer, Ask, Rest
from .seat import Seat, Shop
from .spec import SECOND
from .trace import plain

REOPEN_AFTER = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds to wait before a client is opened again after that failed."""

OPEN_PATIENCE = 10 * SECOND
"""How much longer than an operation the opening of a client may take (ns)."""

FINAL_TRIES = 10
"""Turns that a worker takes to get its final operations answered."""


class Turn:
    """A seat at work on one thread: until the phase ends, its client fails, or it is abandoned."""

    def __init__(self, seat: Seat, phase: Phase) -> None:
        self.seat = seat
        self.phase = phase
        self.shop = seat.shop
        self.retired = False
        self.refused = ""
        """What went wrong in the dry run."""
        self._deadline: int | None = None
        self._ask: Ask | None = None
        self._claim = threading.Lock()
        self._last = -1
        self._conn: str | int | None = None

    def open(self) -> None:
        """Open the client, under the deadline of an operation."""
        self._begin(None)
        self.seat.open()
        if not self._claimed():
            raise TimeoutError("the client was not opened in time")
        self._conn = next((client.conn for client in self.seat.clients if client.conn), None)

    def stream(self) -> None:
        """Ask and answer until the script ends, the phase stops, or the id is retired."""
        script = self.shop.script(self.phase, self.seat.worker, self.seat.process)
        pace = self._pace()
        ask = next(script, None)
        while ask is not None:
            if self.phase == "main" and self.shop.stopping.is_set():
                script.close()
                return
            if isinstance(ask, Rest):
                self.seat.rest(ask.seconds)
                ask = next(script, None)
                continue
            next(pace)
            answer = self.perform(ask)
            if self.phase == "dry" and answer is not None and answer.type != "ok":
                self.refused = f"{ask.f} {plain(ask.value)}: {answer.error}"
            if answer is None or self.retired or self.refused:
                script.close()
                return
            try:
                ask = script.send(answer)
            except StopIteration:
                ask = None

    def _pace(self) -> Any:
        """Yields when the next operation is due."""
        rate = self.shop.config.rate
        if not rate or self.phase != "main":
            yield from itertools.repeat(None)
            return
        gap = self.shop.config.workers / rate
        due = time.monotonic() + gap * random.Random(self.seat.process).random()
        while True:
            while (wait := due - time.monotonic()) > 0:
                self.seat.rest(min(wait, 0.05))
                if self.shop.stopping.is_set():
                    break
            due = max(due + gap, time.monotonic() - gap)
            yield

    def perform(self, ask: Ask) -> Answer | None:
        """Carry out one operation and record it; None if its deadline was faster."""
        seat, tracer = self.seat, self.seat.tracer
        for client in seat.clients:
            client.begin()
        self._invoke(self._now(), ask)
        self._begin(ask)
        began = time.monotonic_ns()
        answer = seat.call(ask)
        ended = time.monotonic_ns()
        if not self._claimed():
            self.retired = True
            return None
        if ended - began > self.shop.config.op_timeout:
            answer = self._timeout()  # whatever it answered, it answered too late
        if seat.session is not None:
            answer = seat.session.ended(ask, answer)
        last = self._complete(ask, answer, ended)
        tracer.n += 1 + (answer.then is not None)
        if last.type == "info" or not seat.settle():
            self.retired = True
        return answer

    def _invoke(self, at: int, ask: Ask) -> None:
        self.shop.segment.append(self._event("invoke", at, ask, value=ask.value, ext=ask.ext))

    def _complete(self, ask: Ask, answer: Answer, ended: int) -> Answer:
        """Write the completion, and what the same call did further; the last answer of the call."""
        epoch = self.shop.config.epoch_ns
        ended_at = self._now(ended - epoch if answer.time is None else answer.time - epoch)
        events = [self._completion(ask, answer, ended_at, final=answer.then is None)]
        if answer.then is not None:
            then, at = answer.then, self._now(answer.then.call - epoch)
            events.append(
                self._event("invoke", at, then.ask, value=then.ask.value, ext=then.ask.ext)
            )
            events.append(
                self._completion(then.ask, then.answer, self._now(ended - epoch), final=True)
            )
            answer = then.answer
        self.shop.segment.append(*events)
        return answer

    def _completion(self, ask: Ask, answer: Answer, at: int, *, final: bool) -> Op:
        ext = dict(answer.ext or {})
        if final and answer.type == "ok":
            suspicions = [text for client in self.seat.clients for text in client.suspicions()]
            if suspicions:
                ext["suspicious"] = "; ".join(suspicions)
            if any(client.left_open() for client in self.seat.clients):
                ext["left_open"] = True
        if answer.attempts is None and final:
            answer = msgspec.structs.replace(answer, attempts=self._attempts(answer.type))
        value = answer.value if answer.value is not None else ask.value
        return self._event(answer.type, at, ask, value=value, ext=ext or None, answer=answer)

    def _event(
        self, kind: Any, at: int, ask: Ask, *, value: Any, ext: Any, answer: Answer | None = None
    ) -> Op:
        return Op(
            time=at,
            process=self.seat.process,
            type=kind,
            f=ask.f,
            value=value,
            phase=self.phase if kind == "invoke" else None,
            conn=self._conn if kind == "invoke" else None,
            ext=ext,
            error=answer.error if answer else None,
            result=answer.result if answer else None,
            attempts=answer.attempts if answer else None,
        )

    def _attempts(self, outcome: str) -> int | None:
        """How many attempts the operation was, as far as its clients saw them refused."""
        aborts = sum(getattr(client, "aborts", 0) for client in self.seat.clients)
        return aborts + (outcome != "fail") if aborts else None

    def _now(self, at: int | None = None) -> int:
        """A time of this process, strictly after the one before."""
        self._last = max(self.shop.clock() if at is None else at, self._last + 1)
        return self._last

    # --- the deadline ----------------------------------------------------------------------------

    def _begin(self, ask: Ask | None) -> None:
        self._ask = ask
        # Drivers give up connecting by themselves; a second thread must not try beside the first.
        patience = OPEN_PATIENCE if ask is None else 0
        self._deadline = time.monotonic_ns() + self.shop.config.op_timeout + patience

    def _claimed(self) -> bool:
        """Whoever calls this first decides how the call ends: its own thread, or the watchdog."""
        with self._claim:
            mine, self._deadline = self._deadline is not None, None
        return mine

    def overdue(self) -> bool:
        """Whether the call under way is past its deadline; if so it is ended here, as `info`."""
        deadline = self._deadline
        if deadline is None or time.monotonic_ns() < deadline or not self._claimed():
            return False
        if self._ask is not None:
            self._complete(self._ask, self._timeout(), time.monotonic_ns())
        self.seat.shutdown()
        return True

    def _timeout(self) -> Answer:
        seconds = self.shop.config.op_timeout / 1e9
        return Answer(type="info", error=f"timeout: no answer within {seconds:g} s")

    def stuck_at(self) -> str:
        """What is under way, in words."""
        if self._ask is None:
            return "opening the client"
        return f"{self._ask.f} {plain(self._ask.value)}"


class Lane:
    """One worker: its turns, each under a process id of its own.

    `turn` says whose turn it is; a thread whose turn was ended from outside finds another there
    (or none), and leaves.
    """

    def __init__(self, shop: Shop, worker: int, incarnation: int) -> None:
        self.shop = shop
        self.worker = worker
        self.incarnation = incarnation
        self.turn: Turn | None = None
        self.thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self, phase: Phase) -> None:
        """Begin a phase on a thread of its own."""
        thread = threading.Thread(
            target=self._work,
            args=(phase, self.next_turn(phase)),
            daemon=True,
            name=f"worker-{self.worker}",
        )
        self.thread = thread
        thread.start()

    def next_turn(self, phase: Phase) -> Turn:
        """A turn under this worker's present process id."""
        process = self.worker + self.incarnation * self.shop.config.workers
        self.turn = Turn(Seat(self.shop, self.worker, process), phase)
        return self.turn

    def _work(self, phase: Phase, turn: Turn) -> None:
        """Turn after turn until the phase is over."""
        failures = 0
        for _ in range(FINAL_TRIES) if phase == "final" else itertools.count():
            opened = self._take(turn)
            with self._lock:
                if self.turn is not turn:
                    return
                self.turn = None
                self.incarnation += opened
            if opened and not turn.retired:
                return
            failures = 0 if opened else failures + 1
            if failures:
                self.shop.stopping.wait(REOPEN_AFTER[min(failures, len(REOPEN_AFTER)) - 1])
            if phase == "main" and self.shop.stopping.is_set():
                return
            turn = self.next_turn(phase)

    def _take(self, turn: Turn) -> bool:
        """Open, work, close; whether the client could be opened at all."""
        try:
            turn.open()
        except BaseException as error:
            why = describe(error)
            self.shop.unopened[why] = self.shop.unopened.get(why, 0) + 1
            return False
        else:
            turn.stream()
            return True
        finally:
            turn.seat.close()

    def watch(self) -> None:
        """End a call that is past its deadline, and go on in a new thread."""
        with self._lock:
            turn = self.turn
            if turn is None or not turn.overdue():
                return
            self.incarnation += 1
            if turn.phase == "dry":
                turn.refused = f"no answer to {turn.stuck_at()} within its deadline"
                self.turn = None
                return
            self.start(turn.phase)
