"""One worker: a thread that carries out its stream of operations, one client after another.

The invocation is on its way to the disk before the strategy is called. A call that outlives its
deadline is completed as `info` from outside, its sockets are shut down, and the worker goes on
under its next process id on a new thread; what the old thread still hears goes to the trace only.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import random
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import CoroutineType
from typing import Any

from .context import Context
from .history import Op, Phase
from .journal import Segment
from .loading import load_object, load_strategy
from .orders import WorkerConfig
from .outcomes import classify, describe
from .protocols import Answer, Ask, Client, ClientOptions, Rest, Script, Session, Workload
from .spec import SECOND
from .trace import TraceFile, Tracer, plain

REOPEN_AFTER = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds to wait before a client is opened again after that failed."""

OPEN_PATIENCE = 10 * SECOND
"""How much longer than an operation the opening of a client may take (ns)."""

FINAL_TRIES = 10
"""Turns that a worker takes to get its final operations answered."""


class Shop:
    """What the workers of one process share: the files, the strategy's class, the workload."""

    def __init__(self, config: WorkerConfig, workload: Workload, segment: Segment) -> None:
        self.config = config
        self.workload = workload
        self.segment = segment
        self.trace = TraceFile(Path(config.trace))
        # The drivers first: a file of the user's may be called like one of them.
        self.factories: Mapping[str, Callable[..., Any]] = {
            spec.backend: load_object(spec.factory) for spec in config.clients
        }
        self.strategy = load_strategy(config.strategy, keep_path=True)
        self.asynchronous = any(
            inspect.iscoroutinefunction(getattr(self.strategy, name, None))
            for name in (*workload.methods, "open", "setup", "guarded")
        )
        self.point: Callable[[int, str], None] = lambda process, name: None
        self.stopping = threading.Event()
        self.unopened: dict[str, int] = {}
        """Why clients could not be opened, and how often."""

    def clock(self) -> int:
        """Nanoseconds since the start of the run."""
        return time.monotonic_ns() - self.config.epoch_ns

    def script(self, phase: Phase, worker: int, process: int) -> Script:
        """What one process is to ask in a phase; a function of (seed, worker, incarnation)."""
        if phase == "dry":
            return self.workload.dry()
        if phase == "final":
            return self.workload.final(worker, self.config.workers)
        incarnation = process // self.config.workers
        rng = random.Random(f"{self.config.seed}/{worker}/{incarnation}")
        return self.workload.main(rng, process)


class Seat:
    """One process id's client: the strategy's instance, its connections, its session."""

    def __init__(self, shop: Shop, worker: int, process: int) -> None:
        self.shop = shop
        self.worker = worker
        self.process = process
        self.tracer = Tracer(epoch_ns=shop.config.epoch_ns)
        self.tracer.process = process
        self.clients: list[Client] = []
        self.session: Session | None = None
        self.strategy: Any = None
        self.error: BaseException | None = None
        """What the last operation raised."""
        self.context: Context | None = None
        self._loop = asyncio.new_event_loop() if shop.asynchronous else None

    def open(self) -> None:
        """Open the clients, then the strategy, then the session; may raise anything."""
        config, shop = self.shop.config, self.shop
        options = ClientOptions(
            tracer=self.tracer,
            asynchronous=shop.asynchronous,
            autocommit=getattr(shop.strategy, "autocommit", None),
            timeout_s=config.op_timeout / 1e9,
        )
        handles = {}
        for spec in config.clients:
            client = self.settled(shop.factories[spec.backend](spec.arguments, options))
            self.clients.append(client)
            handles[spec.backend] = client.handle
        self.context = Context(
            worker=self.worker,
            rng=random.Random(f"{config.seed}/ctx/{self.process}"),
            initial=shop.workload.initial(),
            params=config.params,
            isolation=config.isolation,
            clients=handles,
            dsns={spec.backend: spec.dsn for spec in config.clients},
            resource=config.resource,
            point=lambda name: shop.point(self.process, name),
        )
        self.strategy = shop.strategy()
        self.settled(self.strategy.open(self.context))
        self.session = shop.workload.session(self.strategy, self.context)

    def settled(self, value: Any) -> Any:
        """The value, awaited if it is awaitable."""
        if self._loop is None:
            if type(value) is CoroutineType:
                value.close()
                raise TypeError(
                    "a plain method answered a coroutine: declare the workload's methods async"
                )
        elif isinstance(value, Awaitable):
            return self._loop.run_until_complete(_awaited(value))
        return value

    def commit(self) -> None:
        """Commit what `setup` or `teardown` left open, as a caller of theirs would expect."""
        for client in self.clients:
            if client.left_open() and hasattr(client.handle, "commit"):
                self.settled(client.handle.commit())

    def rest(self, seconds: float) -> None:
        """Wait; a coroutine strategy's own tasks run meanwhile."""
        if self._loop is not None:
            self._loop.run_until_complete(asyncio.sleep(seconds))
        elif seconds > 0:
            time.sleep(seconds)

    def call(self, ask: Ask) -> Answer:
        """Carry one operation out; whatever happens, an answer."""
        session, context = self.session, self.context
        if session is None or context is None:
            raise RuntimeError("the seat is not open")
        self.error = None
        try:
            return session.answer(ask, self.settled(session.call(ask)))
        except BaseException as error:  # sys.exit() in user code ends the operation, not the worker
            self.error = error
            return classify(
                error,
                self.clients,
                untraced=context.untraced,
                single_transaction=bool(getattr(self.strategy, "single_transaction", False)),
            )

    def settle(self) -> bool:
        """Roll back what the operation left open; whether every client can be used again."""
        try:
            for client in self.clients:
                self.settled(client.settle())
        except Exception:
            return False
        return True

    def shutdown(self) -> None:
        """Free whoever waits on one of the sockets; called from another thread."""
        for client in list(self.clients):
            try:
                client.shutdown()
            except Exception:  # it may be closing at this very moment
                continue

    def close(self) -> None:
        """Close strategy, session and clients; what fails to close is gone anyway."""
        closers: list[Callable[[], Any]] = [client.close for client in self.clients]
        if self.session is not None:
            closers.insert(0, self.session.close)
        if self.strategy is not None and hasattr(self.strategy, "close"):
            closers.insert(0, self.strategy.close)
        for closer in closers:
            try:
                self.settled(closer())
            except Exception:
                continue
        self.shop.trace.write(self.tracer)
        if self._loop is not None:
            self._loop.close()


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


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
