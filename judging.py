"""Judges a history that is no run of ours: the checkers alone decide, there are no floors.

What judges it is a workload's checkers or a sequential model; where nobody says which, it is what
the operations look like (`inference.py`), and that is said.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from .checkers.bank import BankChecker
from .checkers.constraint import ConstraintChecker
from .checkers.judge import judge
from .checkers.levels import named
from .checkers.linearizable import LinearizableChecker
from .checkers.models import MODELS, CasRegister
from .checkers.progress import ProgressChecker
from .checkers.stats import stats
from .checkers.wording import show
from .harness.choosing import make_workload, read_params
from .harness.errors import MalformedHistory, UsageError
from .harness.faults import fault_records
from .harness.formats import edn
from .harness.formats.reading import Recorded, read
from .harness.history import History, Operation
from .harness.plugins import find, unknown_name
from .harness.protocols import Checker
from .harness.result import CheckerResult, Result
from .harness.trace import plain as words
from .harness.verdict import Verdict, unknown
from .inference import infer, keyed
from .results.meter import Meter

REALTIME = ("strict-serializable", "linearizable")
"""Levels that promise something about real time, beside all that begin with `strong-`."""


TIMELESS = "strong-session-serializable"
"""What is demanded where nobody says and the history knows only the order within sessions."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What the command said of the history; None and nothing mean "find out"."""

    workload: str | None = None
    model: str | None = None
    level: str | None = None
    initial: str | None = None
    params: Mapping[str, str] = {}
    budget: int | None = None


class Judges(msgspec.Struct, frozen=True, kw_only=True):
    """What judges a history: checkers, what they need to know of it, and how its keys are told."""

    meta: Mapping[str, Any]
    checkers: Sequence[Checker]
    contends: Callable[[Operation], tuple[Hashable, bool] | None]
    remedy: Callable[[str], str]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A judged history, with what mends it."""

    result: Result
    history: History
    remedy: Callable[[str], str]


def check_history(source: str, given: Given, *, meter: Meter) -> Judged:
    """Judge a file of any format, or `-` for standard input; raise `UsageError` for bad input."""
    check_given(given)
    name = "standard input" if source == "-" else source
    data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    recorded = read(data, source=name, tick=meter.bytes)
    del data
    return judge_recorded(recorded, given, source=name, meter=meter)


def judge_recorded(recorded: Recorded, given: Given, *, source: str, meter: Meter) -> Judged:
    """Judge a history that was read; where nobody says as what, as what it looks like."""
    for note in recorded.notes:
        meter.note(note)
    given = _inferred(recorded, given, meter)
    if given.model is not None and recorded.history.meta.get("realtime") is False:
        raise UsageError(
            f"--model {given.model}: this history does not tell what came first in real time, "
            "so nothing can be said of linearizability"
        )
    judges = _judges(recorded, given, meter)
    history = recorded.history.with_meta(**judges.meta)
    checkers = [_Watched(checker, meter) for checker in judges.checkers]
    try:
        _check_functions(recorded.history, given)
        verdict, each = judge(history, checkers)
    except UsageError as error:
        raise recorded.placed(error, source) from None
    if verdict.verdict == "holds" and not _something_judged(each):
        verdict = unknown("no operation could be judged")
    meter.stage("counting")
    result = Result(
        verdict=verdict,
        checkers=each,
        stats=stats(history, judges.contends, verdict.anomalies),
        faults=tuple(fault_records(history)),
        spec=None,
        folder=None,
        notes=tuple(meter.notes),
    )
    return Judged(result=result, history=history, remedy=judges.remedy)


def _something_judged(each: Mapping[str, CheckerResult]) -> bool:
    """Whether the promise itself was judged: that there was progress proves nothing of it."""
    return any(
        result.verdict.judged for name, result in each.items() if name != ProgressChecker.name
    )


class _Watched:
    """A checker that says when its turn comes."""

    def __init__(self, checker: Checker, meter: Meter) -> None:
        self.name = checker.name
        self._checker = checker
        self._meter = meter

    def check(self, history: History) -> Verdict:
        """Judge as the checker does."""
        self._meter.stage(f"judging: {self.name}")
        return self._checker.check(history)


def check_given(given: Given) -> None:
    """Refuse what cannot be meant, before a big file is read for nothing."""
    if given.workload is not None:
        find("workloads", given.workload)
    if given.model is not None:
        if given.workload is not None:
            raise UsageError(
                f"--workload {given.workload} and --model {given.model}: one of them judges"
            )
        if given.model not in MODELS:
            raise UsageError(unknown_name("model", given.model, MODELS))
    if given.level is not None and named(given.level).name != "linearizable" and given.model:
        raise UsageError(
            f"--level {given.level}: a model is judged for linearizable, and for nothing else"
        )


# --- what judges it -------------------------------------------------------------------------------


def _inferred(recorded: Recorded, given: Given, meter: Meter) -> Given:
    if given.workload is not None or given.model is not None:
        return given
    guess = infer(recorded.history, ours=recorded.ours)
    meter.note(f"judged as {guess.name}: {guess.reason}")
    if guess.kind == "model":
        if given.initial is None and "initial" in _parameters(guess.name):
            meter.note("its initial value is taken to be nil; --initial says otherwise")
        return msgspec.structs.replace(given, model=guess.name)
    return msgspec.structs.replace(given, workload=guess.name)


def _judges(recorded: Recorded, given: Given, meter: Meter) -> Judges:
    if given.model is None and given.workload == "register" and not _keyed_by_us(recorded):
        # A register from elsewhere need not be keyed: the model looks at the values.
        given = msgspec.structs.replace(given, workload=None, model="cas-register")
    if given.model is not None:
        return _by_model(recorded, given)
    return _by_workload(recorded, given, meter)


def _keyed_by_us(recorded: Recorded) -> bool:
    return recorded.ours and keyed(recorded.history)


def _by_model(recorded: Recorded, given: Given) -> Judges:
    """Linearizability with a model of the table."""
    name = str(given.model)
    check_given(given)
    known = _parameters(name)
    values = {param: value_of(text) for param, text in given.params.items()}
    if given.initial is not None:
        values["initial"] = value_of(given.initial)
    for param in values:
        if param not in known:
            raise UsageError(_no_parameter(f"model {name}", param, known))
    try:
        model = MODELS[name](**values)
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"model {name}: {error}") from None
    reads = getattr(model, "reads", ())
    return Judges(
        meta={"model": name, "outside": not recorded.ours, **values},
        checkers=[LinearizableChecker(model, budget=given.budget)],
        contends=lambda op: (None, op.f not in reads),
        remedy=lambda anomaly: "",
    )


def _parameters(model: str) -> list[str]:
    signature = inspect.signature(MODELS[model])
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, one in signature.parameters.items() if one.kind in kinds]


def _no_parameter(what: str, name: str, known: Sequence[str]) -> str:
    given = "--initial" if name == "initial" else f"--param {name}"
    has = f"its parameters are {', '.join(known)}" if known else "it has no parameters"
    return f"{given}: {what} has no {name!r}; {has}"


def _by_workload(recorded: Recorded, given: Given, meter: Meter) -> Judges:
    """A workload's own checkers."""
    workload = find("workloads", str(given.workload))
    fields = workload.__struct_fields__
    known = recorded.history.meta
    run_of_this = known.get("workload") == workload.name
    params = {name: known[name] for name in fields if run_of_this and known.get(name) is not None}
    params |= read_params(given.params)
    nil = given.initial is not None and value_of(given.initial) is None
    if given.initial is not None and not (nil and workload.name in _FROM_NIL):
        name = next((name for name in ("start", "initial") if name in fields), None)
        if name is None:
            raise UsageError(_no_parameter(f"workload {workload.name}", "initial", fields))
        params[name] = value_of(given.initial)
    total = params.pop("total", None) if workload.name == "bank" else None
    level = _level(recorded, given, workload, meter)
    if level is not None and "level" in fields:
        params["level"] = level
    if not run_of_this:
        params = {**_assumed(recorded.history, workload, params, meter), **params}
    instance = make_workload(workload, params)
    meta = {
        **msgspec.structs.asdict(instance),
        "workload": workload.name,
        # Others' recordings may begin with data that is there already.
        "outside": not recorded.ours and not nil,
        **({} if level is None else {"level": level}),
        **({} if given.budget is None else {"budget": given.budget}),
    }
    checkers = instance.checkers({**recorded.history.meta, **meta})
    if not (run_of_this or _BEGINNINGS & params.keys()) or total is not None:
        found = _found_there(recorded.history, instance, total, nil, meter)
        checkers = [found.get(type(one), one) for one in checkers]
    if given.budget is not None:
        _spend(checkers, given.budget, workload.name)

    def contends(op: Operation) -> tuple[Hashable, bool] | None:
        try:
            touched: tuple[Hashable, bool] | None = instance.contends(op)
            hash(touched)
        except (TypeError, ValueError, LookupError):
            return None, op.f != "read"
        return touched

    return Judges(
        meta=meta,
        checkers=checkers,
        contends=contends,
        remedy=instance.remedy,
    )


def _assumed(
    history: History, workload: Any, params: Mapping[str, Any], meter: Meter
) -> Mapping[str, Any]:
    """Promises that nobody told and that are held against the history all the same; they are said."""
    name, told = workload.name, params.keys()
    if name == "lock" and not {"ttl", "lease"} & told:
        meter.note(
            f"its locks are taken to be leases of {workload().ttl:g} s; "
            "--param ttl=SECONDS or --param lease=null (they never expire) says otherwise"
        )
    if name == "queue" and "delivery" not in told:
        if {"dequeue", "drain"} & set(history.functions):
            meter.note(
                "messages may come more than once, as in Jepsen's total-queue; "
                "--param delivery=exactly or delivery=at-most says otherwise"
            )
            return {"delivery": "at-least"}
        meter.note(
            "each message is taken to be delivered exactly once; "
            "--param delivery=at-least or delivery=at-most says otherwise"
        )
    if name == "admission" and "limit" not in told:
        meter.note(
            f"at most {workload().limit} are taken to be let in; --param limit=N says otherwise"
        )
    if name == "rate-limit" and not {"limit", "window"} <= told:
        meter.note(
            f"at most {params.get('limit', workload().limit)} are taken to be allowed within "
            f"{params.get('window', workload().window):g} s; "
            "--param limit=N and --param window=SECONDS say otherwise"
        )
    return {}


_BEGINNINGS = frozenset({"start", "keys", "size"})
"""Parameters that tell what was there at the beginning."""

_FROM_NIL = ("wr", "register")
"""Workloads whose keys may begin as nil."""


def _found_there(
    history: History, workload: Any, total: int | None, nil: bool, meter: Meter
) -> Mapping[type, Checker]:
    """Checkers in the place of those that know what a run of ours begins with."""
    if workload.name == "bank":
        # The first read tells the total.
        return {BankChecker: BankChecker(total=total, allow_negative=workload.allow_negative)}
    if workload.name == "constraint":
        return {ConstraintChecker: ConstraintChecker(initial={}, least=workload.least)}
    if workload.name == "register":
        first = None if nil or _nil_is_told(history) else workload.start
        if not nil:
            meter.note(
                f"its registers are taken to begin at {show(first)}; --initial says otherwise"
            )
        return {LinearizableChecker: LinearizableChecker(CasRegister(initial=first), keyed=True)}
    return {}


def _nil_is_told(history: History) -> bool:
    """Whether a register was nil: as one of ours never is."""
    for op in history.operations("read", "cas"):
        if op.type == "ok" and isinstance(op.value, list) and len(op.value) == 2:
            seen = op.value[1]
            if op.f == "cas":
                seen = seen[0] if isinstance(seen, list) and seen else seen
            if seen is None:
                return True
    return False


def _level(recorded: Recorded, given: Given, workload: Any, meter: Meter) -> str | None:
    """The level that is demanded, by its own name; one that this history can show."""
    timeless = recorded.history.meta.get("realtime") is False
    if given.level is None:
        if timeless and "level" in workload.__struct_fields__:
            meter.note(f"the level is {TIMELESS}: this history has no real time")
            return TIMELESS
        return None
    name = named(given.level).name
    if timeless and name == "read-committed":
        meter.note("read committed as Biswas & Enea define it: monotonic-read-committed")
        name = "monotonic-read-committed"
    if not workload.levels:
        raise UsageError(f"{workload.name} has no levels: leave --level {given.level} out")
    if "level" not in workload.__struct_fields__ and name not in workload.levels:
        raise UsageError(unknown_name(f"level of {workload.name}", name, workload.levels))
    strong = name.startswith("strong-") and not name.startswith("strong-session-")
    if timeless and (strong or name in REALTIME):
        raise UsageError(
            f"--level {given.level}: this history does not tell what came first in real time"
        )
    return name


def _spend(checkers: Sequence[Checker], budget: int, name: str) -> None:
    """Give the budget to every checker that has one."""
    some = False
    for checker in checkers:
        for attribute in ("budget", "_budget"):
            if hasattr(checker, attribute):
                setattr(checker, attribute, budget)
                some = True
    if not some:
        raise UsageError(f"--budget: the checkers of {name} need none")


def value_of(text: str) -> Any:
    """A value as the command line gives it: JSON, EDN (`nil`, `{x 0}`), or else plain text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass
    try:
        return edn.value_of(text)
    except MalformedHistory:
        return text


def _check_functions(history: History, given: Given) -> None:
    """Refuse operations that are not of what judges them; the first one is named."""
    if given.model is not None:
        name = given.model
        known = getattr(MODELS.get(name), "functions", None)
    else:
        name = str(given.workload)
        known = find("workloads", name).functions
    used = {history.functions[code] for code in history.f[history.invocations()]}
    if known is None or used <= set(known):
        return
    strange = used - set(known)
    op = next(history.operations(*strange))
    raise UsageError(
        f"operation {op.index}: {op.f} {words(op.asked)} is not what {name} asks; "
        f"it knows {', '.join(sorted(known))}"
    )
