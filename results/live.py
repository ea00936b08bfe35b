"""What stands on the terminal while a run goes on; all of it goes to stderr.

On a terminal, a small picture four times a second; elsewhere one plain line every 10 s and at
each fault's edge, without cursor movement.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..harness.figures import Figures
from . import words

Progress = Literal["auto", "plain", "none"]

LINE_EVERY_S = 10.0
PER_SECOND = 4
_BARS = "▁▂▃▄▅▆▇█"


class View(Protocol):
    """Something that shows a run while it goes on; a context manager."""

    def update(self, figures: Figures) -> None:
        """Show the newest figures; may be called as often as one likes."""

    def note(self, text: str) -> None:
        """Say something once, in a line of its own that stays."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def make_view(progress: Progress, title: str, *, console: Console) -> View:
    """The view that fits: `auto` is the live one on a terminal that can do it, else the plain one.

    `console` writes to stderr.
    """
    if progress == "none":
        return Silent()
    lively = progress == "auto" and redraws(console)
    return LiveView(title, console=console) if lively else PlainView(title)


def redraws(console: Console) -> bool:
    """Whether lines that were printed may be drawn over: on a terminal that can, outside CI."""
    able = console.is_terminal and not console.is_dumb_terminal
    return able and not os.environ.get("CI")


class Silent:
    """Shows nothing."""

    def update(self, figures: Figures) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


class PlainView(Silent):
    """One line every 10 s of the run, at each change of phase, and at each fault's edge."""

    def __init__(self, title: str) -> None:
        self.title = words.clean(title, 100)
        self._last: Figures | None = None
        self._said_ns = 0

    def __enter__(self) -> Self:
        self.note(self.title)
        return self

    def update(self, figures: Figures) -> None:
        """Print a line if one is due."""
        last, self._last = self._last, figures
        edge = last is None or last.fault != figures.fault or last.phase != figures.phase
        if edge or figures.elapsed_ns - self._said_ns >= LINE_EVERY_S * 1e9:
            self._said_ns = figures.elapsed_ns
            self.note(line(figures))

    def note(self, text: str) -> None:
        """Print a line."""
        print(words.clean(text, 1000), file=sys.stderr, flush=True)


def line(figures: Figures) -> str:
    """The figures in one plain line."""
    parts = [
        f"{_clock(figures)} {words.clean(figures.phase, 40)}",
        f"{_rate(figures):,.0f} ops/s",
        f"{figures.ok:,} ok, {figures.fail:,} failed, {figures.info:,} unknown",
    ]
    if figures.p50_ms is not None:
        parts.append(_latency(figures))
    if figures.faults_injected or figures.fault:
        parts.append(_faults(figures))
    if figures.anomalies:
        parts.append(f"anomalies so far: {figures.anomalies:,}")
    return " | ".join(parts)


class LiveView:
    """A few lines that are drawn anew four times a second, and go away at the end."""

    def __init__(self, title: str, *, console: Console) -> None:
        self.title = words.clean(title, 100)
        self.console = console
        self._live = Live(
            console=console, refresh_per_second=PER_SECOND, transient=True, auto_refresh=False
        )
        self._drawn_s = 0.0

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, traceback)

    def update(self, figures: Figures) -> None:
        """Draw the figures, at most four times a second."""
        now = time.monotonic()
        if now - self._drawn_s >= 0.9 / PER_SECOND:
            self._drawn_s = now
            self._live.update(panel(self.title, figures, self.console.width), refresh=True)

    def note(self, text: str) -> None:
        """Print a line above the picture."""
        self.console.print(Text(words.clean(text, 1000)))


def panel(title: str, figures: Figures, width: int) -> RenderableType:
    """The picture of a run at one moment."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="ellipsis", no_wrap=True)
    table.add_row("time", f"{_clock(figures)}  {_bar(figures, max(min(width - 44, 30), 8))}")
    spark = sparkline(figures.rates, max(min(width - 34, 40), 8))
    table.add_row("rate", Text.assemble(f"{_rate(figures):>7,.0f} ops/s  ", (spark, "cyan")))
    table.add_row(
        "operations", f"{figures.ok:,} ok · {figures.fail:,} failed · {figures.info:,} unknown"
    )
    if figures.p50_ms is not None:
        table.add_row("latency", _latency(figures))
    if figures.faults_injected or figures.fault:
        style = "bold magenta" if figures.fault else ""
        table.add_row("faults", Text(_faults(figures), style=style))
    if figures.anomalies:
        table.add_row("anomalies", Text(f"✖ {figures.anomalies:,} so far", style="bold red"))
    head = Text.assemble((title, "bold"), "  ", (words.clean(figures.phase, 40), "dim"))
    return Group(head, table)


def sparkline(rates: Sequence[float], width: int) -> str:
    """Recent rates as a row of bars, the newest at the right."""
    recent = [max(rate, 0.0) for rate in rates[-width:]]
    top = max(recent, default=0.0)
    if top <= 0:
        return _BARS[0] * len(recent)
    return "".join(_BARS[min(int(rate / top * 7.999), 7)] for rate in recent)


def _clock(figures: Figures) -> str:
    return f"{figures.elapsed_ns / 1e9:.1f} s of {words.span(figures.total_ns)}"


def _bar(figures: Figures, width: int) -> str:
    share = figures.elapsed_ns / figures.total_ns if figures.total_ns else 0.0
    done = min(round(share * width), width)
    return "━" * done + "─" * (width - done)


def _rate(figures: Figures) -> float:
    return figures.rates[-1] if figures.rates else 0.0


def _latency(figures: Figures) -> str:
    named = (("p50", figures.p50_ms), ("p99", figures.p99_ms), ("max", figures.max_ms))
    return " · ".join(f"{name} {words.span(ms * 1e6)}" for name, ms in named if ms is not None)


def _faults(figures: Figures) -> str:
    now = f"NOW {words.clean(figures.fault, 60)}" if figures.fault else "none now"
    return (
        f"{now} · {figures.faults_injected:,} injected, {figures.faults_took_effect:,} took effect"
    )
