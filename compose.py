"""The one place that knows every room: from a spec to a result, and from a stored run to one.

`Spec -> generator -> workers, nemesis -> History -> checkers -> Verdict -> report`
"""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

import msgspec

from . import __version__
from .checkers.floors import below_floors
from .checkers.judge import judge
from .checkers.levels import named
from .checkers.stats import stats
from .harness.choosing import Chosen, Wish, backend_parts, choose, make_workload
from .harness.engine import Engine, Outcome, View
from .harness.errors import UsageError
from .harness.faults import backend_of, fault_records, kinds_of
from .harness.formats.reading import Recorded
from .harness.history import History
from .harness.household import Household
from .harness.loading import load_object
from .harness.plugins import find, reference, registered
from .harness.protocols import Backend, Logs, Workload
from .harness.result import Result
from .harness.spec import Spec, load_spec
from .judging import Given, check_given, check_history, judge_recorded
from .nemesis.nemesis import ScheduledNemesis
from .nemesis.schedule import plan
from .results.meter import Meter
from .results.report import write_report
from .results.store import (
    load_history,
    lock_run,
    new_run,
    notes_on,
    run_meta,
    save_history,
    save_result,
)

LOCAL = "local"
DRIVERS = ("psycopg", "redis", "kazoo", "pymysql", "pika", "msgspec", "numpy")


class Servers:
    """The servers of one harness process, started when first needed and kept until the end.

    They never serve two runs at once: whoever runs side by side has servers of his own.
    """

    def __init__(self, household: Household) -> None:
        self.household = household
        self._started: dict[tuple[str, ...], Backend] = {}
        """By name, version, topology and provider."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def get(
        self,
        name: str,
        version: str | None,
        topology: str | None,
        provider: str = LOCAL,
        *,
        gear: frozenset[str] = frozenset(),
    ) -> Backend:
        """A server of ours that answers; `gear` is what it has of its own: a clock, a disk."""
        key = (name, version or "", topology or "", provider, *sorted(gear))
        if key in self._started:
            self._started[key] = self._started.pop(key)  # the last one used comes last
        else:
            make = _maker(name, topology)
            how = {} if provider == LOCAL else {"provider": provider}
            backend = make(self.household, version=version, topology=topology, **how)
            _equip(backend, gear)
            try:
                backend.start()
            except BaseException:
                backend.stop()
                raise
            self._started[key] = backend
        return self._started[key]

    def keep(self, most: int) -> None:
        """Stop all but the servers that were used last."""
        for key in list(self._started)[: -most or None]:
            self._started.pop(key).stop()

    def forget(self) -> None:
        """Stop every server, for instance because a run broke on them."""
        self.keep(0)

    stop = forget


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A result together with its history, what mends it, and whether it was interrupted."""

    result: Result
    history: History
    remedy: Callable[[str], str]
    interrupted: bool = False


def run(wish: Wish, *, servers: Servers, out: Path, view: View) -> Run:
    """Run one test as wished, judge it, and write its folder; exceptions are DokkaebiErrors."""
    spec, chosen = choose(by_its_own_name(wish))
    workload: Workload = make_workload(chosen.workload, spec.params)
    nemesis = _nemesis(spec)
    backends = _backends(spec, wish, servers, view)
    _check_powers(spec, backends)
    spec = msgspec.structs.replace(spec, versions=_versions(backends), epoch_ns=time.time_ns())
    folder = new_run(out.resolve(), f"{spec.workload}-{_slug(spec.label)}")
    with lock_run(folder):
        servers.household.register_run(folder)
        spec.save(folder / "spec.json")
        engine = Engine(
            spec,
            folder,
            household=servers.household,
            backends=backends,
            workload=workload,
            workload_ref=reference("workloads", spec.workload),
            nemesis=nemesis,
            view=view,
            meta=run_meta(spec),
        )
        try:
            outcome = engine.run()
        except BaseException:
            servers.forget()
            raise
        finally:
            _keep_logs(backends, folder)
        return _judged(spec, chosen, workload, outcome, backends, folder, view)


def by_its_own_name(wish: Wish) -> Wish:
    """The wish with its level by the name that specs and workloads know."""
    if wish.level is None:
        return wish
    return msgspec.structs.replace(wish, level=named(wish.level).name)


def _judged(
    spec: Spec,
    chosen: Chosen,
    workload: Workload,
    outcome: Outcome,
    backends: Mapping[str, Backend],
    folder: Path,
    view: View,
) -> Run:
    save_history(folder, outcome.history)
    settings = {name: dict(backend.settings()) for name, backend in backends.items()}
    result = judge_run(
        outcome.history, spec, workload, folder=folder, environment=_environment(spec, settings)
    )
    save_result(folder, result)
    report(result, outcome.history, workload, view)
    return Run(
        result=result,
        history=outcome.history,
        remedy=workload.remedy,
        interrupted=outcome.interrupted,
    )


def report(result: Result, history: History, workload: Workload, view: View) -> None:
    """Write the HTML report; one that cannot be drawn is a warning, never a verdict."""
    if result.folder is None:
        return
    try:
        write_report(result, history, result.folder, remedy=workload.remedy)
    except Exception as error:
        view.note(f"the report could not be written: {type(error).__name__}: {error}")


def judge_run(
    history: History,
    spec: Spec,
    workload: Workload,
    *,
    folder: Path | None,
    environment: dict[str, Any],
) -> Result:
    """Judge a run's history: the workload's checkers, then the floors that a pass must reach."""
    checkers = workload.checkers(history.meta)
    verdict, each = judge(history, checkers, require_progress=spec.require_progress)
    figures = stats(history, workload.contends, verdict.anomalies)
    if verdict.verdict == "holds":
        reasons = below_floors(history, figures, workload, spec)
        if reasons:
            verdict = msgspec.structs.replace(verdict, verdict="unknown", reason="; ".join(reasons))
    return Result(
        verdict=verdict,
        checkers=each,
        stats=figures,
        faults=tuple(fault_records(history)),
        spec=spec,
        folder=folder,
        environment=environment,
    )


def check_run(folder: Path, *, view: View) -> Run:
    """Judge a stored run again, a killed one too, exactly as `run` would."""
    spec = load_spec(folder / "spec.json")
    workload = make_workload(find("workloads", spec.workload), spec.params)
    history = load_history(folder)
    result = judge_run(history, spec, workload, folder=folder, environment=_environment(spec, {}))
    result = msgspec.structs.replace(result, notes=notes_on(folder))
    for note in result.notes:
        view.note(note)
    save_result(folder, result)
    report(result, history, workload, view)
    return Run(result=result, history=history, remedy=workload.remedy)


def check_file(source: str, given: Given, *, meter: Meter) -> Run:
    """Judge a history that is no run of ours: `-`, or a file of any format."""
    judged = check_history(source, given, meter=meter)
    return Run(result=judged.result, history=judged.history, remedy=judged.remedy)


def check_run_as(folder: Path, given: Given, *, meter: Meter) -> Run:
    """Judge a stored run for something else than it was made for; nothing is written to it."""
    check_given(given)
    recorded = Recorded(load_history(folder), "jsonl", notes_on(folder))
    if given.workload is None and given.model is None:
        made_for = load_spec(folder / "spec.json").workload
        given = msgspec.structs.replace(given, workload=made_for)
    judged = judge_recorded(recorded, given, source=str(folder), meter=meter)
    return Run(result=judged.result, history=judged.history, remedy=judged.remedy)


# --- what a run needs ----------------------------------------------------------------------------


def _backends(spec: Spec, wish: Wish, servers: Servers, view: View) -> dict[str, Backend]:
    """A ready server for each need: of ours, or the one at the given address."""
    asked, version_, _ = backend_parts(spec.backend) if spec.backend else ("", None, None)
    addresses = _addresses(wish.dsn, servers.household)
    provided = _provided(spec, addresses)
    backends: dict[str, Backend] = {}
    for name in dict.fromkeys(spec.needs):
        if name in addresses:
            backends[name] = addresses[name]
            backends[name].start()
            continue
        wanted = version_ if name == asked else None
        topology = spec.topologies.get(name)
        provider = spec.provider if name in provided else LOCAL
        backends[name] = servers.get(name, wanted, topology, provider, gear=_gear(spec, name))
    unused = set(addresses) - set(backends)
    if unused:
        raise UsageError(
            f"--dsn for {', '.join(unused)}, but the strategy needs {', '.join(spec.needs)}"
        )
    return backends


def _gear(spec: Spec, name: str) -> frozenset[str]:
    """What the faults that strike a backend need it to have of its own."""
    return frozenset(
        gear
        for fault in spec.faults
        if (backend_of(fault) or spec.needs[0]) == name
        for kind in kinds_of(fault)
        if (gear := getattr(find("faults", kind), "gear", None))
    )


def _equip(backend: Any, gear: frozenset[str]) -> None:
    """Have the backend start its servers with gear of their own."""
    for each in sorted(gear):
        give = getattr(backend, f"own_{each}", None)
        if give is None:
            raise UsageError(f"{backend.name} cannot have a {each} of its own")
        give()


def _provided(spec: Spec, without: Mapping[str, Backend]) -> list[str]:
    """The needs that live on the provider's network; `UsageError` where none of them does."""
    ours = [name for name in spec.needs if name not in without]
    makers = {name: _maker(name, spec.topologies.get(name)) for name in ours}
    found = [n for n in ours if spec.provider in getattr(makers[n], "providers", (LOCAL,))]
    if not found and spec.provider != LOCAL:
        topologies = {n: ", ".join(getattr(find("backends", n), "clusters", {})) for n in ours}
        told = "; ".join(
            f"those of {name} are {each or 'none'}" for name, each in topologies.items()
        )
        raise UsageError(
            f"--provider {spec.provider} links the nodes of clusters, and this strategy runs on "
            f"none that can live there (topologies: {told or 'only --dsn was given'})"
        )
    return found


def _maker(name: str, topology: str | None) -> Callable[..., Backend]:
    """The class of a backend in this topology."""
    backend = find("backends", name)
    others: Mapping[str, str] = getattr(backend, "clusters", {})
    where = others.get(topology or "")
    maker: Callable[..., Backend] = load_object(where) if where else backend
    return maker


def _addresses(dsns: Sequence[str], household: Household) -> dict[str, Backend]:
    """The backends that `--dsn` names; the scheme says which kind each is."""
    if not dsns:
        return {}
    from .backends.external import external

    return {backend.name: backend for backend in (external(dsn, household) for dsn in dsns)}


def _keep_logs(backends: Mapping[str, Backend], folder: Path) -> None:
    """Copy each server's own log into the run's folder."""
    for name, backend in backends.items():
        if not isinstance(backend, Logs):
            continue
        for log in backend.logs():
            if log.is_file():
                shutil.copyfile(log, folder / "logs" / f"{name}-{log.name}")


def _nemesis(spec: Spec) -> ScheduledNemesis | None:
    if not spec.faults:
        return None
    moments = plan(spec.faults, time=spec.time, lasts=spec.lasts, every=spec.every)
    kinds = {kind for name in spec.faults for kind in kinds_of(name)}
    faults = {kind: find("faults", kind)() for kind in kinds}
    on = {name: backend_of(name) or spec.needs[0] for name in spec.faults}
    return ScheduledNemesis(moments, faults, on)


def _check_powers(spec: Spec, backends: Mapping[str, Backend]) -> None:
    for name in spec.faults:
        target = backend_of(name) or spec.needs[0]
        if target not in backends:
            raise UsageError(f"--faults {name}: this strategy does not use {target}")
        for kind in kinds_of(name):
            missing = find("faults", kind)().missing(backends[target])
            if missing:
                raise UsageError(f"--faults {name} cannot strike here: {missing}")


def _versions(backends: Mapping[str, Backend]) -> dict[str, str]:
    found = {"dokkaebi": __version__, "python": platform.python_version()}
    for driver in DRIVERS:
        try:
            found[driver] = version(driver)
        except PackageNotFoundError:
            continue
    return found | {f"server {name}": backend.version for name, backend in backends.items()}


def diagnose() -> list[dict[str, Any]]:
    """What is found on this machine: a line per server and power, with how to get what is not."""
    lines: list[dict[str, Any]] = []
    for name in registered("backends"):
        backend = find("backends", name)
        found = backend.available()
        detail = ", ".join(f"{one.version} ({one.source})" for one in found) or backend.missing()
        lines.append({"what": name, "found": bool(found), "detail": detail})
    return [*lines, *_gears(), *_providers()]


def _gears() -> list[dict[str, Any]]:
    """What some topologies and faults need besides servers."""
    from .backends import clocks, disks, pgbouncer
    from .harness.errors import Unavailable

    try:
        pooler, lacking = f"{pgbouncer.version()}: postgres:pgbouncer", ""
    except Unavailable as missing:
        pooler, lacking = "", str(missing)
    library = clocks.library()
    return [
        {"what": "pgbouncer", "found": not lacking, "detail": pooler or lacking},
        {
            "what": "clocks",
            "found": library is not None,
            "detail": "libfaketime: --faults clock" if library else clocks.MISSING,
        },
        {
            "what": "disks",
            "found": disks.can(),
            "detail": "loop devices: --faults power-loss" if disks.can() else disks.MISSING,
        },
    ]


def _providers() -> list[dict[str, Any]]:
    """Where nodes of clusters can live besides loopback, so that packets between them can be lost."""
    from .backends import containers, netns

    by = "" if netns.capable() else ", in a user namespace"
    powers = (
        ("netns", netns.missing(), f"network namespaces and nftables{by}"),
        ("docker", containers.missing(), "containers and nftables"),
    )
    return [
        {
            "what": name,
            "found": lacking is None,
            "detail": lacking or f"{how}: partitions with --provider {name}",
        }
        for name, lacking, how in powers
    ]


def _environment(spec: Spec, settings: dict[str, dict[str, str]]) -> dict[str, Any]:
    return {"versions": spec.versions, "platform": platform.platform(), "settings": settings}


def _slug(label: str) -> str:
    return label.rpartition("/")[2].replace(".py", "")
