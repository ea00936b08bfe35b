"""The same test again, several times: how often does what it found come back?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ..compose import Servers
from ..harness.choosing import Wish, param_text
from ..harness.errors import UsageError
from ..harness.plugins import strategies
from ..harness.spec import Spec, load_spec
from ..results.store import SPEC, VERDICT
from ..suite.tasks import Outcome, Task, carry_out


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was repeated: what it had found, and what each repetition found."""

    run: str
    found: tuple[str, ...]
    """The anomalies of the run itself."""
    outcomes: tuple[Outcome, ...]

    def came_back(self) -> dict[str, int]:
        """In how many repetitions each anomaly was found, those of the run itself first."""
        every = dict.fromkeys(self.found, 0)
        for outcome in self.outcomes:
            for name in dict.fromkeys(found.type for found in outcome.found):
                every[name] = every.get(name, 0) + 1
        return every

    @property
    def exit_code(self) -> int:
        """As `run` has it: the first that applies of 130, 1, 4, 5, 3 and 0."""
        said = [outcome.said for outcome in self.outcomes]
        if any(outcome.interrupted for outcome in self.outcomes):
            return 130
        codes = {"violated": 1, "broke": 4, "unavailable": 5, "unknown": 3}
        return next((code for word, code in codes.items() if word in said), 0)


def replay(
    folder: Path,
    times: int,
    *,
    servers: Servers,
    out: Path,
    dsn: Sequence[str] = (),
    tell: Callable[[int, Outcome], None],
) -> Replayed:
    """Run a stored run's spec again so many times; `tell` hears of each repetition as it ends."""
    wish = wish_of(load_spec(folder / SPEC), dsn=dsn)
    outcomes: list[Outcome] = []
    for number in range(1, times + 1):
        outcomes.append(carry_out(Task(wish=wish, out=str(out)), servers))
        tell(number, outcomes[-1])
        if outcomes[-1].interrupted or outcomes[-1].said == "unavailable":
            break
    return Replayed(run=folder.name, found=_found(folder), outcomes=tuple(outcomes))


def wish_of(spec: Spec, *, dsn: Sequence[str] = ()) -> Wish:
    """What has to be asked for to get this spec again."""
    addresses = tuple(dsn) or spec.dsn
    if any("***" in address for address in addresses):
        raise UsageError(
            "the run was made on a server whose password was not stored: say --dsn URL again"
        )
    as_called = spec.label in strategies() or _is_here(spec)
    return Wish(
        target=spec.label if as_called else None,
        strategy=None if as_called else spec.strategy,
        on=spec.backend,
        isolation=spec.isolation,
        faults=spec.faults or ("none",),
        every=spec.every or None,
        lasts=spec.lasts or None,
        aim=spec.aim,
        level=spec.level,
        workers=spec.workers,
        processes=spec.processes,
        rate=spec.rate,
        time=spec.time,
        seed=spec.seed,
        provider=spec.provider,
        dsn=addresses,
        op_timeout=spec.op_timeout,
        params={name: param_text(value) for name, value in spec.params.items()},
        require_progress=spec.require_progress,
    )


def _is_here(spec: Spec) -> bool:
    """Whether the name of the strategy's file means the same file from here."""
    return Path(spec.label.partition(":")[0]).resolve() == Path(spec.strategy.rpartition(":")[0])


def _found(folder: Path) -> tuple[str, ...]:
    """The anomalies in a run's stored verdict; none where it was never judged."""
    if not (folder / VERDICT).is_file():
        return ()
    told = msgspec.json.decode((folder / VERDICT).read_bytes())
    return tuple(dict.fromkeys(found["type"] for found in told["anomalies"]))


# --- how it is told ------------------------------------------------------------------------------


def line_of(number: int, times: int, outcome: Outcome) -> str:
    """A repetition in one line."""
    names = ", ".join(dict.fromkeys(found.type for found in outcome.found))
    told = names or outcome.reason.strip().rpartition("\n")[2]
    return f"{number}/{times}  {outcome.said}" + (f": {told}" if told else "")


def summary(replayed: Replayed) -> list[str]:
    """What came back how often, in sentences."""
    times = len(replayed.outcomes)
    lines = [
        f"{name} came back in {count} of {times}" if name in replayed.found
        else f"{name} was new in {count} of {times}"
        for name, count in replayed.came_back().items()
    ]  # fmt: skip
    many = f"{times} repetition{'s' if times != 1 else ''}"
    return lines or [f"nothing was found in {many}, as in {replayed.run} itself"]


def document(replayed: Replayed) -> dict[str, object]:
    """The same for `--json`."""
    return {
        "schema": 1,
        "run": replayed.run,
        "found": list(replayed.found),
        "times": len(replayed.outcomes),
        "came_back": replayed.came_back(),
        "runs": [
            {
                "verdict": outcome.said,
                "reason": outcome.reason,
                "anomalies": [found.type for found in outcome.found],
                "seconds": outcome.seconds,
                "folder": outcome.folder,
            }
            for outcome in replayed.outcomes
        ],
    }
