"""How far a check has got: a bar on the terminal while a big history is read and judged.

It is drawn by a thread of rich's own and goes away at the end; all of it goes to stderr.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from . import words
from .live import redraws

PER_SECOND = 4


class Meter:
    """Shows nothing but notes, and keeps them; also the base of the one that draws."""

    def __init__(self, console: Console | None = None) -> None:
        self.notes: list[str] = []
        self._console = console

    def bytes(self, done: int, total: int) -> None:
        """So many bytes of so many have been read."""

    def stage(self, name: str) -> None:
        """Something else has begun, of which nobody knows how long it takes."""

    def note(self, text: str) -> None:
        """Say something once, in a line that stays."""
        self.notes.append(text)
        if self._console is not None:
            self._console.print(Text(words.clean(text, 1000)), soft_wrap=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


class Bar(Meter):
    """A bar with a name and a clock."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            refresh_per_second=PER_SECOND,
        )
        self._task = self._progress.add_task("reading", total=None)

    def bytes(self, done: int, total: int) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=done, total=max(total, 1))

    def stage(self, name: str) -> None:
        """Start a bar that only says that something goes on."""
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(words.clean(name, 60), total=None)

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.__exit__(kind, error, traceback)


def make_meter(progress: str, console: Console) -> Meter:
    """A bar on a terminal that can do it, else nothing but notes: they are no progress."""
    return Bar(console) if progress == "auto" and redraws(console) else Meter(console)
