"""The catalogue for real: strategies under the faults that they declare get the verdict they must.

Two run at once, as `dokkaebi suite` runs them; a violation that is not seen with the first seed is
looked for with further ones. With DOKKAEBI_EVERY_STRATEGY all of them, else some of each workload.
"""

import os

import msgspec
import pytest

from dokkaebi.backends import disks
from dokkaebi.harness.plugins import registered, strategies
from dokkaebi.suite.cases import Suite
from dokkaebi.suite.catalogue import catalogue
from dokkaebi.suite.executor import Local
from dokkaebi.suite.runner import run_suite

pytestmark = pytest.mark.timeout(4_000)  # the fixture runs them all

JOBS = 2
EVERY = bool(os.environ.get("DOKKAEBI_EVERY_STRATEGY"))
CELLS = {cell.name: cell for cell in catalogue().cells}
FEW = (
    "append/concat/kill",
    "bank/for-update-unordered/none",
    "constraint/lock-parent/pause",
    "counter/retry-in-the-same-snapshot/none",
    "ids/incr/kill",
    "ledger/request-id-in-the-transaction/partition-primary+terminate",
    "ledger/retry-after-lost-commit/partition-primary+terminate",
    "lock/failover-loses-the-lock/partition-primary+failover",
    "lock/paused-replica-keeps-the-lock/pause-replicas+failover",
    "lock/redlock-jumping-clocks/clock-majority",
    "lock/redlock/kill-minority",
    "lock/session-lock-through-pooler/none",
    "lock/setnx-then-expire/kill-client",
    "long-fork/mget/kill",
    "long-fork/primary-and-replica/slow",
    "queue/nats-at-least-once/partition-primary",
    "queue/nats-dedupe-row/kill-client",
    "queue/nats-effect-then-ack/kill-client",
    "queue/rabbitmq-dedupe-row/kill-client",
    "queue/rabbitmq-transient/kill",
    "queue/skip-locked/kill",
    "session/read-from-replica/lag",
    "session/row/kill-client",
    "set/async-failover/partition-primary+failover",
    "set/commit-warning-ignored/partition-primary+cancel-waits+failover",
    "set/insert/kill",
    "set/sadd-every-second/power-loss",
    "set/sync-failover/partition-primary+failover",
    "unique/unique-index/kill-client",
    "wr/upsert/kill-client",
)
"""What shows a mechanism of its own, whatever else is tried."""


def chosen():
    """What must be caught, what holds alone and on clusters under all faults; or some of each."""
    names = dict.fromkeys(FEW)
    seen = set()
    for name, cell in CELLS.items():
        strategy = strategies()[cell.case]
        clustered = ":" in "".join(strategy.needs)
        plain = strategy.expect != "safe" or cell.fault == "none" or not in_peace(cell)
        kind = strategy.workload, strategy.expect
        if (EVERY and (plain or clustered)) or (plain and not clustered and kind not in seen):
            names[name] = None
            seen.add(kind)
    return list(names)


def in_peace(cell):
    """Whether its strategy is also to be tried without any fault."""
    return f"{cell.case}/none" in CELLS


class Quiet:
    """Hears how the suite goes and says nothing."""

    def begun(self, cell, seed): ...

    def done(self, judged): ...


@pytest.fixture(scope="module")
def judged(state_folder, tmp_path_factory):
    """What came of each cell."""
    out = tmp_path_factory.mktemp("catalogue")
    suite = Suite(name="some", cells=tuple(CELLS[name] for name in chosen()))
    finished = run_suite(suite, Local(JOBS, logs=out), out=out, watcher=Quiet())
    return {each.cell.name: each for each in finished.cells}


@pytest.mark.parametrize("name", chosen())
def test_a_strategy_gets_its_verdict(judged, name):
    found = judged[name]
    lacking = "power-loss" in found.cell.fault and not disks.can()
    if not os.environ.get("CI") and (found.status == "skipped" or lacking):
        pytest.skip(found.reason)
    runs = [(each.seed, each.said, each.reason, each.folder) for each in found.outcomes]
    assert found.met, (found.status, found.reason, runs)


def test_each_workload_with_strategies_is_tried():
    tried = {CELLS[name].case.partition("/")[0] for name in chosen()}
    assert tried >= {cell.case.partition("/")[0] for cell in CELLS.values()}
    assert tried < set(registered("workloads"))


def test_a_cell_that_is_not_met_is_told(state_folder, tmp_path):
    """The test above can fail: an unsafe strategy that must hold."""
    cell = CELLS["set/conflict-swallowed/none"]
    wrong = msgspec.structs.replace(cell, must_catch=(), must_hold="its promise")
    suite = Suite(name="wrong", cells=(wrong,))
    finished = run_suite(suite, Local(1), out=tmp_path, watcher=Quiet())
    assert [(each.status, each.met) for each in finished.cells] == [("violated", False)]
