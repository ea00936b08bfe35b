"""From what was asked for to a `Spec`: which workload, strategy, servers, faults and parameters.

Whatever makes no sense is refused here, before anything is started.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from .errors import UsageError
from .faults import kinds_of, shortest
from .loading import load_file, load_strategy, strategies_in
from .plugins import find, registered, unknown_name
from .spec import SECOND, Aim, Spec, parse_duration, redact, show_duration

ALIASES = {"redis": "valkey", "postgresql": "postgres", "pg": "postgres"}


USUAL_TIME = 10 * SECOND


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line, a suite or a test asked for; None is "you choose". Times in ns."""

    target: str | None = None
    """A workload, or FILE.py[:Class]."""
    strategy: str | None = None
    on: str | None = None
    isolation: str | None = None
    faults: Sequence[str] | None = None
    every: int | None = None
    lasts: int | None = None
    aim: Aim = "mixed"
    level: str | None = None
    workers: int = 8
    processes: int = 2
    rate: float | None = None
    time: int | None = None
    """None is ten seconds, or as long as it takes that every fault has a turn."""
    keys: int | None = None
    seed: int = 0
    provider: str = "local"
    dsn: Sequence[str] = ()
    op_timeout: int = 5 * SECOND
    params: Mapping[str, str] = {}
    require_progress: bool = False


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The classes behind a spec."""

    workload: type[Any]
    strategy: type[Any]
    reference: str
    label: str


def choose(wish: Wish) -> tuple[Spec, Chosen]:
    """The spec for a wish; raise `UsageError` for what cannot be meant."""
    if wish.on is not None:
        find("backends", backend_name(wish.on))
    chosen = _strategy(wish)
    strategy, workload = chosen.strategy, chosen.workload
    _check_methods(chosen)
    if not 1 <= wish.processes <= wish.workers:
        raise UsageError(
            f"--processes must be between 1 and --workers ({wish.workers}), not {wish.processes}"
        )
    _check_level(wish, workload)
    params = _params(wish, chosen)
    instance = make_workload(workload, params)
    faults = _faults(wish, strategy)
    expect = getattr(strategy, "expect", None)
    if expect not in (None, "safe", "unsafe", "live"):
        raise UsageError(f"{strategy.__name__}: expect is safe, unsafe or live, not {expect!r}")
    for option, given in (("--time", wish.time), ("--for", wish.lasts), ("--every", wish.every)):
        if given == 0:
            raise UsageError(f"{option} must be longer than nothing")
    lasts = _lasts(wish, strategy, instance)
    time = _time(wish, faults, lasts)
    spec = Spec(
        workload=workload.name,
        strategy=chosen.reference,
        label=chosen.label,
        needs=_needs(strategy, wish.on),
        topologies=_topologies(strategy, wish.on),
        backend=wish.on,
        isolation=_isolation(wish, strategy),
        faults=faults,
        every=wish.every if wish.every is not None else max(2 * SECOND, time // 5),
        lasts=lasts,
        aim=wish.aim,
        level=wish.level,
        workers=wish.workers,
        processes=wish.processes,
        rate=wish.rate,
        time=time,
        op_timeout=wish.op_timeout,
        seed=wish.seed,
        provider=wish.provider,
        dsn=tuple(map(redact, wish.dsn)),
        params=params,
        require_progress=wish.require_progress,
        expect=expect,
        anomaly=getattr(strategy, "anomaly", None),
    )
    return spec, chosen


def make_workload(workload: type[Any], params: Mapping[str, Any]) -> Any:
    """A workload from its parameters; `UsageError` says which one is wrong."""
    try:
        return msgspec.convert(dict(params), workload)
    except msgspec.ValidationError as error:
        known = ", ".join(msgspec.structs.asdict(workload()))
        raise UsageError(
            f"the parameters of {workload.name} are {known}; {str(error).lower()}"
        ) from None


# --- which strategy ------------------------------------------------------------------------------


def _strategy(wish: Wish) -> Chosen:
    target, named = wish.target, wish.strategy
    if target is not None and _is_file(target):
        if named is not None:
            raise UsageError(f"{target} is a strategy already; leave --strategy {named} out")
        return _from_file(target, None)
    if named is not None and _is_file(named):
        return _from_file(named, target)
    if target is None and named is None:
        raise UsageError(
            "say what to run: a workload "
            f"({', '.join(registered('workloads'))}), a FILE.py, or --strategy NAME"
        )
    return _built_in(target, named, wish.on)


def _is_file(text: str) -> bool:
    return text.partition(":")[0].endswith(".py")


def _from_file(text: str, workload: str | None) -> Chosen:
    file, _, name = text.partition(":")
    path = Path(file).resolve()
    if name:
        strategy = load_strategy(f"{path}:{name}")
    else:
        found = strategies_in(load_file(path))
        if workload is not None:
            found = {n: c for n, c in found.items() if c.workload == workload} or found
        if not found:
            raise UsageError(f'{path.name} has no strategy: a class that says `workload = "..."`')
        if len(found) > 1:
            raise UsageError(
                f"{path.name} has several strategies; name one: "
                + ", ".join(f"{file}:{n}" for n in found)
            )
        name, strategy = next(iter(found.items()))
    says = getattr(strategy, "workload", None)
    if not isinstance(says, str):
        raise UsageError(f'{name} does not say which workload it is of (`workload = "counter"`)')
    if workload is not None and says != workload:
        raise UsageError(f"{name} is a strategy of {says}, not of {workload}")
    reference = f"{path}:{strategy.__qualname__}"
    label = f"{file}:{name}" if text.endswith(name) and ":" in text else file
    return Chosen(
        workload=find("workloads", says), strategy=strategy, reference=reference, label=label
    )


def _built_in(target: str | None, named: str | None, on: str | None) -> Chosen:
    if named is not None and "/" in named:
        before, _, named = named.partition("/")
        if target not in (None, before):
            raise UsageError(f"--strategy {before}/{named} is no strategy of {target}")
        target = before
    if target is None:
        target = _workload_of(str(named))
    if target not in registered("workloads") and named is None and "/" in target:
        target, _, named = target.partition("/")
    workload = find("workloads", target)
    name = named or _default(workload, on)
    if name not in workload.strategies:
        raise UsageError(unknown_name(f"{target} strategy", name, workload.strategies))
    where = workload.strategies[name]
    return Chosen(
        workload=workload,
        strategy=load_strategy(where),
        reference=where,
        label=f"{target}/{name}",
    )


def _workload_of(strategy: str) -> str:
    homes = [
        name for name in registered("workloads") if strategy in find("workloads", name).strategies
    ]
    if len(homes) == 1:
        return homes[0]
    if homes:
        raise UsageError(
            f"several workloads have a strategy {strategy!r}: "
            + ", ".join(f"{home}/{strategy}" for home in homes)
        )
    every = [s for name in registered("workloads") for s in find("workloads", name).strategies]
    raise UsageError(unknown_name("strategy", strategy, every))


def _default(workload: Any, on: str | None) -> str:
    """The workload's default; with `--on`, the first safe strategy that runs there."""
    if not workload.default:
        raise UsageError(
            f"{workload.name} has no built-in strategy: name a FILE.py with one of your own, which "
            f"implements {', '.join(workload.methods)}"
        )
    names: list[str] = [workload.default, *workload.strategies]
    if on is None:
        return names[0]
    wanted = backend_name(on)
    for name in names:
        strategy = load_strategy(workload.strategies[name])
        offers = [option for need in strategy.needs for option in need.split("|")]
        if wanted in offers and getattr(strategy, "expect", None) == "safe":
            return name
    raise UsageError(f"no safe strategy of {workload.name} runs on {wanted}; name one: --strategy")


def _check_methods(chosen: Chosen) -> None:
    strategy, workload = chosen.strategy, chosen.workload
    missing = [
        name for name in ("open", *workload.methods) if not callable(getattr(strategy, name, None))
    ]
    if missing:
        raise UsageError(
            f"{strategy.__name__} has no {' and no '.join(missing)}: "
            f"a strategy of {workload.name} implements open, {', '.join(workload.methods)}"
        )


def _check_level(wish: Wish, workload: Any) -> None:
    """A level can be demanded where the workload's checkers can tell it from others."""
    if wish.level is None or wish.level in workload.levels:
        return
    if not workload.levels:
        raise UsageError(f"{workload.name} has no levels: leave --level {wish.level} out")
    raise UsageError(unknown_name(f"level of {workload.name}", wish.level, workload.levels))


# --- what it runs on, and how --------------------------------------------------------------------


def backend_name(on: str) -> str:
    """The backend of `postgres@16` or `valkey:volatile`."""
    name = on.partition("@")[0].partition(":")[0]
    return ALIASES.get(name, name)


def backend_parts(on: str) -> tuple[str, str | None, str | None]:
    """Name, version and topology of `BACKEND[@VERSION][:TOPOLOGY]`."""
    rest, _, topology = on.partition(":")
    _, _, version = rest.partition("@")
    return backend_name(on), version or None, topology or None


def _needs(strategy: type[Any], on: str | None) -> tuple[str, ...]:
    """One backend for each of the strategy's needs; `--on` decides where there is a choice."""
    wanted = backend_name(on) if on else None
    raw = getattr(strategy, "needs", None)
    if not raw or isinstance(raw, str):
        raise UsageError(
            f'{strategy.__name__} does not say what it needs, like `needs = ["postgres"]`'
        )
    needs = []
    for need in raw:
        options = [backend_name(option) for option in need.split("|")]
        needs.append(wanted if wanted in options else options[0])
    for need in needs:
        find("backends", str(need))
    if wanted is not None and wanted not in needs:
        raise UsageError(f"{strategy.__name__} needs {', '.join(raw)}; it cannot run on {wanted}")
    return tuple(map(str, needs))


def _topologies(strategy: type[Any], on: str | None) -> dict[str, str]:
    """The topology of each need that names one, as in `valkey:replicas`; `--on` may name another."""
    asked = [option for need in strategy.needs for option in need.split("|")]
    named = {backend_name(each): topology for each in asked if (topology := backend_parts(each)[2])}
    if on is not None and (topology := backend_parts(on)[2]):
        named[backend_name(on)] = topology
    return named


def _isolation(wish: Wish, strategy: type[Any]) -> str | None:
    isolation = wish.isolation or getattr(strategy, "isolation", None)
    return isolation.replace("-", " ").lower() if isolation else None


def _faults(wish: Wish, strategy: type[Any]) -> tuple[str, ...]:
    asked = wish.faults if wish.faults is not None else getattr(strategy, "faults", ())
    if isinstance(asked, str):
        raise UsageError(f'{strategy.__name__}: faults is a list, like `faults = ["{asked}"]`')
    names = [str(name) for name in asked if name and name != "none"]
    for name in names:
        for kind in kinds_of(name):
            find("faults", kind)
    return tuple(dict.fromkeys(names))


def _lasts(wish: Wish, strategy: type[Any], workload: Any) -> int:
    """How long a fault lasts, in ns: as asked, as the strategy says, longer than any lease, or 1 s."""
    if wish.lasts is not None:
        return wish.lasts
    ttl = getattr(workload, "ttl", None)
    return round(getattr(strategy, "lasts", 2 * ttl if ttl else 1.0) * SECOND)


def _time(wish: Wish, faults: Sequence[str], lasts: int) -> int:
    """How long the main phase lasts, in ns: as asked, or as long as every fault needs for a turn."""
    least = shortest(len(faults), lasts)
    if wish.time is None:
        return max(USUAL_TIME, least)
    if wish.time < least:
        raise UsageError(
            f"--time {show_duration(wish.time)} is too short for {', '.join(faults)} of "
            f"{show_duration(lasts)} each: the first comes at a quarter of the time, and every "
            f"kind must have a turn; at least --time {least / SECOND:g}s is needed, "
            "or --faults none"
        )
    return wish.time


def _params(wish: Wish, chosen: Chosen) -> dict[str, Any]:
    """The workload's parameters: its defaults, the strategy's, then the command's."""
    strategy, workload = chosen.strategy, chosen.workload
    given: dict[str, Any] = dict(getattr(strategy, "params", {}))
    for trait in workload.traits:
        if trait == "guarded":
            given[trait] = inspect.isroutine(getattr(strategy, "guarded", None))
        elif hasattr(strategy, trait):
            given[trait] = getattr(strategy, trait)
    defaults = msgspec.structs.asdict(make_workload(workload, given))
    more = read_params(wish.params)
    if wish.level is not None and "level" in defaults:
        more["level"] = wish.level
    if wish.keys is not None:
        name = "keys" if "keys" in defaults else "names"
        more[name] = wish.keys
    params: dict[str, Any] = msgspec.structs.asdict(make_workload(workload, {**defaults, **more}))
    return params


def read_params(given: Mapping[str, str]) -> dict[str, Any]:
    """Parameters as the command line gives them, with their values read."""
    return {name: _literal(text) for name, text in given.items()}


def param_text(value: Any) -> str:
    """A parameter's value as the command line gives it: `read_params` reads the same from it."""
    if isinstance(value, str) and _literal(value) == value:
        return value
    return msgspec.json.encode(value).decode()


def _literal(text: str) -> Any:
    """A parameter's value as JSON has it; `1s` is seconds; anything else is text."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        pass
    try:
        return parse_duration(text) / SECOND
    except UsageError:
        return text
