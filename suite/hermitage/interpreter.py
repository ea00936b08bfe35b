"""Play a schedule: each session on a connection of its own, in a thread of its own.

After each step the interpreter goes on when all is at rest: a session has answered all it was sent,
or the server says that it waits for a lock which one of those at rest keeps. No outcome hangs on
how long anything takes. Answers are kept in the order in which they came.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from queue import SimpleQueue
from typing import Literal, Protocol

import msgspec

from ...harness.errors import Broken
from .schedules import Rows, Step

PATIENCE_S = 30.0
_PROMPT_S = 0.005
"""How long an answer may take before the server is asked why; decides nothing."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a statement came to."""

    rows: Rows | None = None
    """What was read, in order of the ids."""
    changed: int | None = None
    """How many rows were written."""
    ended: Literal["commit", "rollback"] | None = None
    """How the transaction ended, which is not always as it was asked to."""
    error: str | None = None
    """The SQLSTATE, or the number of MariaDB's error."""
    message: str | None = None
    left_out: bool = False
    """It was not sent, because its transaction had failed."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A step with its answer; `waited` if it was left waiting for another session's lock."""

    step: Step
    answer: Answer
    waited: bool = False


class Line(Protocol):
    """One session's connection."""

    number: int
    """What the server calls it."""

    def send(self, text: str) -> Answer:
        """Send a statement and wait for its answer; refused ones are answers, too.

        What is lost on the way raises `Broken`.
        """

    def close(self) -> None:
        """Roll back what is open, and close."""


class Waits(Protocol):
    """The server's word on who waits for whom."""

    def waiting(self, numbers: Collection[int]) -> set[int]:
        """Those of these sessions that wait for a lock at this moment."""

    def waits_for(self, numbers: Collection[int]) -> Mapping[int, set[int]]:
        """Whom each of these sessions waits for at this moment."""


class Stuck(Broken):
    """The schedule did not come to its end."""


def play(
    steps: Sequence[Step],
    lines: Mapping[int, Line],
    server: Waits,
    *,
    patience_s: float = PATIENCE_S,
) -> list[Said]:
    """Send all steps, one after the other; what was answered, in the order in which it was.

    Raises `Broken` if a connection is lost, and `Stuck` if there is no rest within `patience_s`.
    The lines are the caller's to close.
    """
    stage = _Stage(lines, server, time.monotonic() + patience_s)
    try:
        for step in steps:
            stage.send(step)
            stage.rest()
        stage.end()
        return stage.said
    finally:
        stage.dismiss()


class _Stage:
    """The sessions' threads, and what they have answered."""

    def __init__(self, lines: Mapping[int, Line], server: Waits, deadline: float) -> None:
        self.said: list[Said] = []
        self._lines = lines
        self._server = server
        self._deadline = deadline
        self._news = threading.Condition()
        self._under_way: dict[int, deque[Step]] = {session: deque() for session in lines}
        self._waited: set[int] = set()
        """By `id`, of steps: two may be equal."""
        self._lost: BaseException | None = None
        self._inboxes: dict[int, SimpleQueue[Step | None]] = {s: SimpleQueue() for s in lines}
        for session in lines:
            threading.Thread(target=self._serve, args=(session,), daemon=True).start()

    # --- a session's thread ----------------------------------------------------------------------

    def _serve(self, session: int) -> None:
        failed = False
        while (step := self._inboxes[session].get()) is not None:
            try:
                answer = self._carry_out(step, failed)
            except BaseException as error:
                self._lose(error)
                return
            failed = failed or answer.error is not None
            self._answered(step, answer)

    def _carry_out(self, step: Step, failed: bool) -> Answer:
        """Nothing is done in a transaction that failed, but to end it."""
        if failed and not step.ends:
            return Answer(left_out=True)
        return self._lines[step.session].send(step.text)

    def _answered(self, step: Step, answer: Answer) -> None:
        with self._news:
            self._under_way[step.session].popleft()
            self.said.append(Said(step=step, answer=answer, waited=id(step) in self._waited))
            self._news.notify_all()

    def _lose(self, error: BaseException) -> None:
        with self._news:
            self._lost = error
            self._news.notify_all()

    # --- the one who plays -----------------------------------------------------------------------

    def send(self, step: Step) -> None:
        """Have a session send this when it has answered what it was sent before."""
        with self._news:
            self._under_way[step.session].append(step)
        self._inboxes[step.session].put(step)

    def rest(self) -> None:
        """Wait until nothing more happens by itself."""
        while not self._answers_within(_PROMPT_S):
            if self._all_wait():
                return
            self._check_patience()

    def end(self) -> None:
        """Wait for all answers."""
        while not self._answers_within(1.0):
            self._check_patience()

    def dismiss(self) -> None:
        """Let the threads end; one that still waits for an answer ends with its connection."""
        for inbox in self._inboxes.values():
            inbox.put(None)

    def _answers_within(self, seconds: float) -> bool:
        """Whether all that was sent is answered; waits for that so long."""
        with self._news:
            self._news.wait_for(lambda: self._lost or not any(self._under_way.values()), seconds)
            if self._lost is not None:
                raise Broken(f"a session was lost: {self._lost}") from self._lost
            return not any(self._under_way.values())

    def _all_wait(self) -> bool:
        """Whether the server says of everyone who has not answered that he waits for one at rest."""
        with self._news:
            before = len(self.said)
            busy = {s for s, steps in self._under_way.items() if steps}
        numbers = {self._lines[session].number for session in busy}
        if self._server.waiting(numbers) != numbers:
            return False
        if len(numbers) > 1 and not reach_rest(self._server.waits_for(numbers), numbers):
            return False  # a circle, for instance: the server is about to choose a victim
        with self._news:
            if len(self.said) != before:
                return False  # what was said meanwhile may have changed who waits
            self._waited |= {id(self._under_way[session][0]) for session in busy}
            return True

    def _check_patience(self) -> None:
        if time.monotonic() > self._deadline:
            with self._news:
                steps = [f"{s}: {steps[0].text}" for s, steps in self._under_way.items() if steps]
            raise Stuck(f"no answer and no rest in time; under way: {'; '.join(steps)}")


def reach_rest(waits_for: Mapping[int, set[int]], busy: Collection[int]) -> bool:
    """Whether each of these waits, be it through others that wait, for somebody who does not."""
    free: set[int] = set()
    while True:
        more = {
            number
            for number in busy
            if number not in free
            and any(other not in busy or other in free for other in waits_for.get(number, ()))
        }
        if not more:
            return free == set(busy)
        free |= more
