"""Two sets of runs side by side: what is new, what is gone, and what differs in how they were made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, Literal

import msgspec

from ..harness.errors import UsageError
from . import store
from .judged import Document, document, test_of

State = Literal["new", "gone", "persists"]

CHANCE: Final = 0.05
"""Odds that differ by chance at least so often are not called different."""

FEW: Final = 3
"""Fewer runs than this on a side say nothing of its speed."""

_OWN: Final = frozenset({"epoch_ns", "schema", "seed", "versions"})
"""What of a spec is each run's own, or told elsewhere."""


class Odds(msgspec.Struct, frozen=True, kw_only=True):
    """In how many of its runs each side found an anomaly."""

    name: str
    before: int
    of_before: int
    now: int
    of_now: int

    @property
    def state(self) -> State:
        """Whether it is new, gone, or still there."""
        if not self.before:
            return "new"
        return "persists" if self.now else "gone"

    @property
    def may_be_chance(self) -> bool:
        """Whether the same odds on both sides would often differ so much (Fisher's exact test)."""
        return _chance(self.before, self.of_before, self.now, self.of_now) > CHANCE


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A setting that is not the same on both sides; several values where a side's runs differ."""

    name: str
    before: tuple[str, ...]
    now: tuple[str, ...]


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """Medians of a figure on both sides, and between what the ratio of two runs lies."""

    name: str
    unit: str
    before: float
    now: float
    low: float
    high: float
    runs: int
    """Of the side that has fewer."""

    @property
    def told(self) -> str:
        """What can be said of it."""
        if self.runs < FEW:
            return f"too noisy to say: {self.runs} run{'s' if self.runs != 1 else ''} on a side"
        span = f"×{self.low:.2f} to ×{self.high:.2f}"
        if self.low <= 1 <= self.high:
            return f"too noisy to say: {span}"
        return f"×{self.now / self.before:.2f} ({span})"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is said of two sides."""

    before: tuple[str, ...]
    now: tuple[str, ...]
    changes: tuple[Change, ...]
    anomalies: tuple[Odds, ...]
    levels: tuple[Change, ...]
    speeds: tuple[Speed, ...]

    @property
    def news(self) -> tuple[Odds, ...]:
        """The anomalies that only the second side has."""
        return tuple(odds for odds in self.anomalies if odds.state == "new")


class Differences(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of two sides of several tests; `only` names those that one side has alone."""

    tests: dict[str, Difference]
    only: tuple[tuple[str, str], ...]

    @property
    def news(self) -> bool:
        """Whether the second side has an anomaly that the first has not."""
        return any(each.news for each in self.tests.values())


def differences(before: Sequence[Path], now: Sequence[Path]) -> Differences:
    """Compare the runs in these folders, test by test."""
    both = pairs(before, now)
    return Differences(
        tests={name: compare(a, b) for name, (a, b) in both.items() if a and b},
        only=tuple((name, "A" if a else "B") for name, (a, b) in both.items() if not (a and b)),
    )


def compare(before: Sequence[Path], now: Sequence[Path]) -> Difference:
    """Compare the runs in these folders; `UsageError` for one that was never judged."""
    a, b = ([document(folder) for folder in side] for side in (before, now))
    return Difference(
        before=tuple(folder.name for folder in before),
        now=tuple(folder.name for folder in now),
        changes=tuple(_changes(_settings, a, b)),
        anomalies=tuple(
            sorted(_odds(a, b), key=lambda odds: ("new", "gone", "persists").index(odds.state))
        ),
        levels=tuple(_changes(_levels, a, b)),
        speeds=tuple(_speeds(a, b)),
    )


def pairs(before: Sequence[Path], now: Sequence[Path]) -> dict[str, tuple[list[Path], list[Path]]]:
    """The runs of both sides by test, where a side is of several tests; else all under one name."""
    tests: dict[str, tuple[list[Path], list[Path]]] = {}
    for place, side in enumerate((before, now)):
        for folder in side:
            tests.setdefault("/".join(test_of(document(folder))), ([], []))[place].append(folder)
    if all(sum(bool(test[place]) for test in tests.values()) == 1 for place in (0, 1)):
        return {"": (list(before), list(now))}
    return tests


def sides(out: Path, ref: str) -> list[Path]:
    """The runs that RUN names: one, or all of a folder of runs."""
    path = Path(ref)
    if path.is_dir() and not store.is_run(path):
        every = store.runs(path)
        if not every:
            raise UsageError(f"there are no runs in {path}")
        return every
    return [store.find_run(out, ref)]


# --- what differs --------------------------------------------------------------------------------


def _odds(before: Sequence[Document], now: Sequence[Document]) -> Iterator[Odds]:
    found = [
        [{each["type"] for each in run["anomalies"]} for run in side] for side in (before, now)
    ]
    for name in sorted(set().union(*found[0], *found[1])):
        counts = [sum(name in names for names in side) for side in found]
        yield Odds(
            name=name,
            before=counts[0],
            of_before=len(before),
            now=counts[1],
            of_now=len(now),
        )


def _settings(run: Document) -> Iterator[tuple[str, str]]:
    """How a run was made."""
    environment = run.get("environment") or {}
    for name, value in (run.get("spec") or {}).items():
        if name not in _OWN:
            yield name, _shown(value)
    for name, version in environment.get("versions", {}).items():
        yield f"version of {name}", _shown(version)
    yield "platform", _shown(environment.get("platform", ""))
    for server, settings in environment.get("settings", {}).items():
        for name, value in settings.items():
            yield f"{server}: {name}", _shown(value)


def _levels(run: Document) -> Iterator[tuple[str, str]]:
    """What levels a run rules out, and the strongest that may hold."""
    yield "ruled out", ", ".join(run.get("not", ())) or "nothing"
    yield "strongest that may hold", _shown(run.get("strongest") or "not said")


def _changes(told: Any, before: Sequence[Document], now: Sequence[Document]) -> Iterator[Change]:
    sides = []
    for side in (before, now):
        values: dict[str, dict[str, None]] = {}
        for run in side:
            for name, value in told(run):
                values.setdefault(name, {})[value] = None
        sides.append(values)
    for name in dict.fromkeys((*sides[0], *sides[1])):
        a, b = (tuple(side.get(name, {"not there": None})) for side in sides)
        if set(a) != set(b):
            yield Change(name=name, before=a, now=b)


def _speeds(before: Sequence[Document], now: Sequence[Document]) -> Iterator[Speed]:
    for name, unit, figure in (
        ("throughput", "/s", _throughput),
        ("latency p99", " ms", _latency),
    ):
        a, b = ([figure(run["stats"]) for run in side] for side in (before, now))
        if min(*a, *b) > 0:
            yield Speed(
                name=name,
                unit=unit,
                before=median(a),
                now=median(b),
                low=min(b) / max(a),
                high=max(b) / min(a),
                runs=min(len(a), len(b)),
            )


def _throughput(stats: Mapping[str, Any]) -> float:
    return float(stats["ops_per_second"])


def _latency(stats: Mapping[str, Any]) -> float:
    return float(stats["latency_ms"]["p99"])


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _chance(a: int, of_a: int, b: int, of_b: int) -> float:
    """How often the same odds would give counts that are at least as unlikely as these."""
    total, every = a + b, of_a + of_b

    def likely(x: int) -> float:
        return math.comb(of_a, x) * math.comb(of_b, total - x) / math.comb(every, total)

    seen = likely(a)
    possible = range(max(0, total - of_b), min(of_a, total) + 1)
    return sum(p for x in possible if (p := likely(x)) <= seen * (1 + 1e-9))


# --- how it is told ------------------------------------------------------------------------------


def lines(found: Differences) -> Iterator[str]:
    """The differences in words."""
    for place, (name, difference) in enumerate(found.tests.items()):
        if place:
            yield ""
        if name:
            yield f"=== {name}"
        yield from _lines(difference)
    if found.only:
        yield ""
    for name, side in found.only:
        yield f"only in {side}: {name}"


def _lines(found: Difference) -> Iterator[str]:
    """A difference, what makes the sides unlike first."""
    for sign, names in (("A", found.before), ("B", found.now)):
        many = f"{names[0]} to {names[-1]}, {len(names)} runs" if len(names) > 1 else names[0]
        yield f"{sign}  {many}"
    for title, changes in (("made differently", found.changes), ("levels", found.levels)):
        if changes:
            yield ""
            yield title
        for change in changes:
            yield f"  {change.name}: {_either(change.before)} -> {_either(change.now)}"
    yield ""
    yield "anomalies" if found.anomalies else "anomalies: none on either side"
    for odds in found.anomalies:
        counts = f"{odds.before} of {odds.of_before} before, {odds.now} of {odds.of_now} now"
        doubt = "; that may be chance" if odds.state != "persists" and odds.may_be_chance else ""
        yield f"  {odds.state:<9} {odds.name}: {counts}{doubt}"
    for speed in found.speeds:
        yield (
            f"{speed.name}: {speed.before:,.4g}{speed.unit} -> {speed.now:,.4g}{speed.unit}, "
            f"{speed.told}"
        )


def _either(values: Sequence[str]) -> str:
    return " or ".join(value if len(value) <= 60 else value[:59] + "…" for value in values)


def as_json(found: Differences) -> bytes:
    """The same for `--json`."""
    told = {
        "schema": 1,
        "tests": [
            {
                "test": name,
                **msgspec.to_builtins(each),
                "anomalies": [
                    {
                        **msgspec.to_builtins(odds),
                        "state": odds.state,
                        "may_be_chance": odds.may_be_chance,
                    }
                    for odds in each.anomalies
                ],
                "speeds": [{**msgspec.to_builtins(s), "told": s.told} for s in each.speeds],
            }
            for name, each in found.tests.items()
        ],
        "only": [{"test": name, "side": side} for name, side in found.only],
    }
    return msgspec.json.format(msgspec.json.encode(told), indent=1)
