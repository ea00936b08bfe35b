"""What tests get from the pytest fixture: runs, and what they must come to."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
from rich.console import Console

from ..checkers.anomalies import define
from ..compose import Run, Servers
from ..compose import run as compose_run
from ..harness.choosing import Wish, param_text
from ..harness.errors import Unavailable, UsageError
from ..harness.heal import heal
from ..harness.history import History
from ..harness.household import Household
from ..harness.plugins import unknown_name
from ..harness.result import Result
from ..harness.spec import parse_duration
from ..harness.verdict import Anomaly
from ..results.live import Silent
from ..results.terminal import advise, explain, headline, repeat_lines
from .expectations import base

Record = Callable[[str, object], None]
Target = str | Path | type[Any]

TRIES = 3
"""Seeds with which what must be caught is looked for."""

WIDTH = 100
"""Columns of a failure's picture."""

_TIMES = {"time": "time", "every": "every", "for_": "lasts", "op_timeout": "op_timeout"}
_SAME = (
    "strategy", "on", "isolation", "faults", "aim", "level", "workers", "processes", "rate", "keys",
    "provider", "dsn", "require_progress", "seed",
)  # fmt: skip
WISHES = (*_TIMES, *_SAME, "params")
"""What `run` and the marker take."""


class Bench:
    """The servers that all tests of a session share, and where their runs are kept."""

    def __init__(self, *, out: Path, seed: int, scale: float) -> None:
        self.out = out
        self.seed = seed
        self.scale = scale
        self._household = Household()
        self._servers: Servers | None = None

    def __enter__(self) -> Self:
        heal()
        self._servers = Servers(self._household.__enter__())
        return self

    def __exit__(self, *error: Any) -> None:
        if self._servers is not None:
            self._servers.stop()
        self._household.__exit__(*error)

    def harness(self, wishes: Mapping[str, Any], *, record: Record) -> Harness:
        """What one test gets; `wishes` are its marker's."""
        return Harness(self, wishes, record)

    def run(self, wish: Wish) -> Run:
        """Run it; what is missing on this machine skips the test, with the reason."""
        if self._servers is None:
            raise RuntimeError("the bench is closed")
        try:
            return compose_run(wish, servers=self._servers, out=self.out, view=Silent())
        except Unavailable as missing:
            pytest.skip(str(missing))


class Harness:
    """The fixture `dokkaebi`: runs one test after another on real servers."""

    def __init__(self, bench: Bench, wishes: Mapping[str, Any], record: Record) -> None:
        self._bench = bench
        self._wishes = wishes
        self._record = record

    def run(self, target: Target, **wishes: Any) -> Tested:
        """Run a strategy (a class, `FILE.py:Class` or `workload/name`) or a workload's default.

        `wishes` are the command's options with underscores: `on`, `strategy`, `isolation`,
        `faults` (a list), `level`, `time`, `every`, `for_` and `op_timeout` (`"5s"`), `workers`,
        `processes`, `rate`, `keys`, `seed`, `params` (a dict), `require_progress`, `provider`,
        `dsn`. They beat the marker's. `UsageError` says what cannot be meant.
        """
        wish = self._wish(target, {**self._wishes, **wishes})
        return Tested(self._begin(wish), wish, self._begin)

    def _begin(self, wish: Wish) -> Run:
        finished = self._bench.run(wish)
        if finished.result.folder is not None:
            self._record("dokkaebi_report", str(finished.result.folder / "report.html"))
        return finished

    def _wish(self, target: Target, wishes: Mapping[str, Any]) -> Wish:
        given: dict[str, Any] = {"target": _reference(target), "seed": self._bench.seed}
        for name, value in wishes.items():
            if name not in WISHES:
                raise UsageError(unknown_name("option of dokkaebi.run", name, WISHES))
            if name in _TIMES:
                given[_TIMES[name]] = _nanoseconds(name, value)
            elif name == "params":
                given[name] = {key: param_text(each) for key, each in value.items()}
            elif name == "faults" and isinstance(value, str):
                raise UsageError(f'faults is a list, like ["{value}"]')
            else:
                given[name] = value
        try:
            wish = msgspec.convert(given, Wish)
        except msgspec.ValidationError as error:
            raise UsageError(f"dokkaebi.run: {error}") from None
        return self._scaled(wish)

    def _scaled(self, wish: Wish) -> Wish:
        if self._bench.scale == 1 or wish.time is None:
            return wish
        return msgspec.structs.replace(wish, time=round(wish.time * self._bench.scale))


class Tested:
    """What a run came to."""

    def __init__(self, finished: Run, wish: Wish, again: Callable[[Wish], Run]) -> None:
        self._finished = finished
        self._wish = wish
        self._again = again

    @property
    def result(self) -> Result:
        """Everything that is said of the run."""
        return self._finished.result

    @property
    def history(self) -> History:
        """What was recorded."""
        return self._finished.history

    @property
    def verdict(self) -> str:
        """`holds`, `violated` or `unknown`."""
        return self.result.verdict.verdict

    @property
    def anomalies(self) -> tuple[Anomaly, ...]:
        """What was found."""
        return self.result.verdict.anomalies

    @property
    def report(self) -> Path | None:
        """The page that shows it all."""
        return None if self.result.folder is None else self.result.folder / "report.html"

    def must_hold(self, *, known: Mapping[str, str] | None = None) -> Self:
        """Fail where an anomaly was found that is not `known` (name and reason), or nothing proved."""
        __tracebackhide__ = True
        known = known or {}
        for name, reason in known.items():
            define(name)
            if not reason.strip():
                raise UsageError(f"known anomaly {name}: a reason is required")
        news = [anomaly for anomaly in self.anomalies if anomaly.type not in known]
        if self.verdict == "unknown" or (self.verdict == "violated" and news):
            pytest.fail(self.explain(news[0] if news else None), pytrace=False)
        return self

    def must_catch(self, *names: str, tries: int = TRIES) -> Self:
        """Fail where one of these anomalies is not found, with this seed or the next ones."""
        __tracebackhide__ = True
        if not names:
            raise UsageError('must_catch wants names, like must_catch("lost-update")')
        for name in names:
            define(name)
        missing = list(names)
        for attempt in range(tries):
            if attempt:
                self._wish = msgspec.structs.replace(self._wish, seed=self._wish.seed + 1)
                self._finished = self._again(self._wish)
            seen = {n for anomaly in self.anomalies for n in (anomaly.type, base(anomaly.type))}
            missing = [name for name in missing if name not in seen]
            if not missing:
                return self
        told = f"{', '.join(missing)} not found with {tries} seeds; the last run:\n\n"
        pytest.fail(told + self.explain(), pytrace=False)

    def explain(self, anomaly: Anomaly | None = None) -> str:
        """The verdict, an anomaly (the first) as a ladder, and how to repeat it."""
        console = Console(
            file=io.StringIO(), width=WIDTH, no_color=True, highlight=False, markup=False,
            emoji=False,
        )  # fmt: skip
        with console.capture() as capture:
            console.print(headline(self.result))
            anomaly = anomaly or next(iter(self.anomalies), None)
            if anomaly is not None:
                console.print()
                console.print(explain(anomaly, self.result, self.history, width=WIDTH))
                advice = advise(self._finished.remedy, anomaly.type)
                if advice:
                    console.print(f"\nto fix it  {advice}")
            console.print()
            for label, line in repeat_lines(self.result):
                console.print(f"{label:<24}{line}", soft_wrap=True)
        return capture.get()

    def __repr__(self) -> str:
        found = ", ".join(dict.fromkeys(anomaly.type for anomaly in self.anomalies))
        return f"<Tested {self.verdict}{': ' + found if found else ''}>"


def _reference(target: Target) -> str:
    """The target as the command line has it: a class travels as the file and name it stands in."""
    if not isinstance(target, type):
        return str(target)
    file = inspect.getsourcefile(target)
    if "<locals>" in target.__qualname__ or file is None:
        raise UsageError(
            f"{target.__qualname__} is made inside a function: worker processes find a strategy "
            "by its file and name, so let the class stand at the top of a module"
        )
    return f"{Path(file).resolve()}:{target.__qualname__}"


def _nanoseconds(name: str, value: Any) -> int:
    if not isinstance(value, str):
        raise UsageError(f'{name} reads like "5s", not {value!r}')
    return parse_duration(value)
