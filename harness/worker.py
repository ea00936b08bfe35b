"""A worker process: `python -m dokkaebi.harness.worker`.

Reads its configuration and then orders from standard input, reports on standard output, and runs
its workers as threads. It dies at once when the harness does. What the strategy prints goes to
the log.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from .errors import Failed
from .history import Phase
from .journal import Segment
from .lane import Lane, Turn
from .loading import load_object, own_traceback
from .orders import Order, Report, WorkerConfig
from .outcomes import describe
from .seat import Seat, Shop

WATCH_EVERY_S = 0.05
POINT_WAIT_S = 1.0


BEGUN = ("arm", "main")
"""Orders that only begin something, and are obeyed before the next one is read: on a busy machine a
thread of their own might come to run after the one that ends what they begin."""


class Process:
    """The threads and orders of one worker process."""

    def __init__(self, config: WorkerConfig, out: int) -> None:
        self._out = out
        self._config = config
        self._points = Points(self.say)
        workload = msgspec.convert(config.params, load_object(config.workload))
        self.shop = Shop(config, workload, Segment(Path(config.segment)))
        self.shop.point = self._points.reach
        self._dry_turn: Turn | None = None
        self.lanes = [
            Lane(self.shop, worker, incarnation)
            for worker, incarnation in config.incarnations.items()
        ]
        threading.Thread(target=self._watch, daemon=True, name="watch").start()

    def say(self, report: Report) -> None:
        """Report to the harness."""
        os.write(self._out, msgspec.json.encode(report) + b"\n")

    def _watch(self) -> None:
        """End what is past its deadline; bring the trace to the disk."""
        while True:
            time.sleep(min(WATCH_EVERY_S, self._config.op_timeout / 4e9))
            for lane in self.lanes:
                lane.watch()
                if self._dry_turn is not None and self._dry_turn.refused and lane.turn is None:
                    stuck, self._dry_turn = self._dry_turn, None
                    self.say(Report(done="dry", broken=stuck.refused))
                turn = lane.turn
                if turn is not None:
                    self.shop.trace.write(turn.seat.tracer)

    def obey(self, order: Order) -> None:
        """Carry out one order and report that it is done."""
        if order.do == "arm":
            self._points.arm(order.point)
            return
        if order.do == "main":
            self._start("main")
            return
        steps: dict[str, Callable[[], None]] = {
            "setup": lambda: self._on_an_instance("setup"),
            "teardown": lambda: self._on_an_instance("teardown"),
            "dry": self._dry,
            "stop": self._stop,
            "final": self._final,
        }
        try:
            steps[order.do]()
        except BaseException as error:
            file = sys.modules[self.shop.strategy.__module__].__file__
            text = own_traceback(error, file)
            self.say(Report(done=order.do, broken=describe(error), traceback=text))
        else:
            self.say(
                Report(
                    done=order.do,
                    points=self._points.passed(),
                    unopened=dict(self.shop.unopened),
                )
            )

    def _on_an_instance(self, method: str) -> None:
        """`setup` and `teardown` run on an instance of their own."""
        if not hasattr(self.shop.strategy, method):
            return
        seat = Seat(self.shop, 0, 0)
        seat.tracer.n = -1
        try:
            seat.open()
            seat.settled(getattr(seat.strategy, method)(seat.context))
            seat.commit()
        finally:
            seat.close()

    def _dry(self) -> None:
        """Each method once, by process 0 alone; what it raises is the strategy's own fault."""
        lane = self.lanes[0]
        turn = self._dry_turn = lane.next_turn("dry")
        try:
            turn.open()
            turn.stream()
        finally:
            self._dry_turn = None
            turn.seat.close()
            lane.turn = None
            lane.incarnation += 1
        error = turn.seat.error
        if error is not None and not isinstance(error, Failed):
            raise error
        if turn.refused:
            raise DryRunFailed(turn.refused)

    def _start(self, phase: Phase) -> None:
        for lane in self.lanes:
            lane.start(phase)

    def _stop(self) -> None:
        self.shop.stopping.set()
        self._join()

    def _final(self) -> None:
        self._join()  # whoever was too late to stop must not go on beside the final operations
        self.shop.stopping.clear()
        self._start("final")
        self._join()

    def _join(self) -> None:
        """Wait until every worker has ended its phase; the watchdog sees to it that they do."""
        for lane in self.lanes:
            while lane.thread is not None and lane.thread.is_alive():
                lane.thread.join(0.05)


class DryRunFailed(Exception):
    """An operation of the dry run, where nobody else is at work, was not answered with ok."""


class Points:
    """The places in the strategy's code that it named, one of which a fault may be aimed at."""

    def __init__(self, say: Callable[[Report], None]) -> None:
        self._say = say
        self._passed: set[str] = set()
        self._armed: str | None = None
        self._lock = threading.Lock()

    def passed(self) -> tuple[str, ...]:
        """The names of the points that were reached so far."""
        return tuple(sorted(self._passed))

    def arm(self, name: str | None) -> None:
        """The next worker to reach `name` waits there for the fault."""
        self._armed = name

    def reach(self, process: int, name: str) -> None:
        """Called by the strategy; returns at once unless the point is armed."""
        if name not in self._passed:
            self._passed.add(name)
        if self._armed != name:
            return
        with self._lock:
            mine, self._armed = self._armed == name, None
        if mine:
            self._say(Report(at=name, process=process))
            time.sleep(POINT_WAIT_S)


def _redirect() -> int:
    """Keep standard output for reports; what the strategy prints goes where errors go."""
    out = os.dup(1)
    os.dup2(2, 1)
    return out


def _settle_down(slot: int) -> None:
    """Cost the servers as little as possible: one processor for this process, few collections.

    Its threads take turns anyway (the interpreter lock); on one processor a turn passes without a
    signal to another. What was imported is never garbage.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    if hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[slot % len(processors)]})


def main() -> None:
    """Read the configuration, then obey until told to exit or the harness is gone."""
    out = _redirect()
    config = msgspec.json.decode(sys.stdin.buffer.readline(), type=WorkerConfig)
    try:
        process = Process(config, out)
        _settle_down(config.slot)
    except BaseException as error:
        text = own_traceback(error, None)
        report = Report(broken=describe(error), traceback=getattr(error, "traceback", "") or text)
        os.write(out, msgspec.json.encode(report) + b"\n")
        os._exit(1)
    process.say(Report())
    decoder: Any = msgspec.json.Decoder(Order)
    for line in sys.stdin.buffer:
        order = decoder.decode(line)
        if order.do == "exit":
            break
        if order.do in BEGUN:
            process.obey(order)
        else:
            threading.Thread(target=process.obey, args=(order,), daemon=True).start()
    process.shop.segment.close()
    os._exit(0)  # threads may be stuck in user code


if __name__ == "__main__":
    main()
