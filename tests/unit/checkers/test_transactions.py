"""The checkers of transactions: sentences, bad input, levels, budgets, what is found at scale."""

import random

import numpy as np
import pytest
from planted import planted
from transactional import Txn, history, written

from dokkaebi.checkers.transactions import AppendChecker, WrChecker
from dokkaebi.checkers.transactions.components import components, reaches, shortest
from dokkaebi.checkers.transactions.cycles import cycles
from dokkaebi.checkers.transactions.graph import ANTI, DEPENDS, RW, WR, Builder
from dokkaebi.harness.errors import UsageError
from dokkaebi.harness.history import History


def found(verdict):
    return [anomaly.type for anomaly in verdict.anomalies]


def test_a_cycle_is_told_with_a_reason_for_each_arrow():
    verdict = AppendChecker().check(
        written(
            """
            0 1-9 ok r x nil, append y 1
            1 1-9 ok r y nil, append x 2
            """
        )
    )
    (anomaly,) = verdict.anomalies
    assert anomaly.type == "G2-item"
    assert anomaly.sentence == (
        "Let T1 = [r y nil, append x 2] (process 1) and T2 = [r x nil, append y 1] (process 0). "
        "T1 came before T2, because T1 did not see T2's append of 1 to key y; "
        "but T2 came before T1, because T2 did not see T1's append of 2 to key x: a contradiction."
    )
    assert anomaly.ops == (1, 0)
    assert anomaly.evidence["kind"] == "cycle"
    assert anomaly.evidence["transactions"][0] == {
        "op": 1,
        "process": 1,
        "type": "ok",
        "value": [["r", "y", None], ["append", "x", 2]],
    }
    assert [(e["from"], e["to"], e["rel"], e["key"], e["value"]) for e in anomaly.evidence["edges"]] == [
        (1, 0, "rw", "y", 1),
        (0, 1, "rw", "x", 2),
    ]  # fmt: skip
    assert verdict.not_ == ("repeatable-read",)
    assert verdict.strongest == "strong-snapshot-isolation"


def test_what_a_level_permits_is_named_and_breaks_nothing():
    text = written("0 1-9 ok r x nil, append y 1\n1 1-9 ok r y nil, append x 2")
    verdict = AppendChecker(level="SI").check(text)
    assert verdict.verdict == "holds"
    assert verdict.anomalies == ()
    assert "G2-item" in verdict.reason
    assert "serializable" in verdict.also_not


def test_a_level_that_dependencies_do_not_decide_is_never_said_to_hold():
    text = written("0 1-9 ok append x 1\n1 1-9 ok r x [1]")
    verdict = AppendChecker(level="update-atomic").check(text)
    assert verdict.verdict == "unknown"
    assert "update-atomic" in verdict.reason
    broken = written("0 1-9 ok append x 1, r x nil")
    assert AppendChecker(level="read-atomic").check(broken).verdict == "violated"


@pytest.mark.parametrize("checker", [AppendChecker, WrChecker])
def test_nothing_answered_is_unknown(checker):
    verdict = checker().check(History([]))
    assert verdict.verdict == "unknown"
    assert "empty-transaction-graph" in verdict.reason
    assert verdict.strongest is None


@pytest.mark.parametrize("checker", [AppendChecker, WrChecker])
def test_a_level_that_there_is_not_is_refused(checker):
    with pytest.raises(UsageError, match="there is no level"):
        checker(level="very-good")


@pytest.mark.parametrize(("checker", "f"), [(AppendChecker, "append"), (WrChecker, "w")])
@pytest.mark.parametrize("second", ["ok", "fail", "info"])
def test_one_value_written_twice_is_bad_input(checker, f, second):
    with pytest.raises(UsageError, match="operations 0 and 2 wrote 1 to key x"):
        checker().check(written(f"0 1-2 ok {f} x 1\n1 3-4 {second} {f} x 1"))
    checker().check(written(f"0 1-2 ok {f} x 1\n1 3-4 ok {f} y 1"))


def test_a_crashed_transaction_that_was_seen_has_happened_as_a_whole():
    text = "0 1-3 info append x 1, append y 2\n1 5-9 ok r x {}, r y nil"
    assert found(AppendChecker().check(written(text.format("[1]")))) == ["G-single"]
    assert AppendChecker().check(written(text.format("nil"))).verdict == "holds"


def test_a_crashed_transaction_comes_before_nobody():
    late = "0 1-2 info append x 1\n1 4-5 ok r x nil\n2 7-8 ok r x [1]"
    assert AppendChecker().check(written(late)).verdict == "holds"


def test_versions_in_real_time_rule_out_only_levels_that_promise_it():
    """Two blind writes, one after the other, and readers who saw them the other way round."""
    text = written(
        """
        0 1-2 ok   w x 1
        0 3-4 ok   w x 2
        1 5-20 ok  r x 2, w q 1
        2 5-20 ok  r x 1, r q 1
        """
    )
    verdict = WrChecker(level="serializable").check(text)
    assert verdict.verdict == "holds"
    assert WrChecker().check(text).verdict == "violated"
    assert verdict.strongest == "serializable"


def test_the_witness_is_the_smallest_cycle():
    """A long cycle first, a short one later: the short one is shown."""
    txns = []
    for i in range(6):
        mops = [["r", f"k{i}", None], ["append", f"k{(i + 1) % 6}", i]]
        txns.append(Txn(i, 1, 100, "ok", mops))
    txns.append(Txn(10, 1, 100, "ok", [["r", "a", None], ["append", "b", 1]]))
    txns.append(Txn(11, 1, 100, "ok", [["r", "b", None], ["append", "a", 1]]))
    (anomaly,) = AppendChecker().check(history(txns)).anomalies
    assert anomaly.type == "G2-item"
    assert len(anomaly.evidence["transactions"]) == 2
    assert anomaly.count == 2


def test_a_search_without_budget_still_shows_a_cycle_and_says_what_it_left():
    rng = random.Random(1)
    builder = Builder(60)
    source = np.array([rng.randrange(60) for _ in range(240)])
    target = np.array([rng.randrange(60) for _ in range(240)])
    builder.add(source[:80], target[:80], count=DEPENDS, why=WR, grade=1)
    builder.add(source[80:], target[80:], count=ANTI, why=RW, grade=2)
    graph = builder.finished()
    whole, hasty = cycles(graph), cycles(graph, budget=0)
    assert whole.spent == ()
    assert {"G-single"} <= {cycle.name for cycle in whole.found}
    assert hasty.spent or hasty.found
    for cycle in (*whole.found, *hasty.found):
        ends = [(int(graph.source[e]), int(graph.target[e])) for e in cycle.edges]
        for (_, end), (begin, _) in zip(ends, [*ends[1:], ends[0]], strict=True):
            assert end == begin
        if cycle.name == "G-single":
            assert np.count_nonzero(graph.count[cycle.edges] == ANTI) == 1


def test_planted_cycles_are_found_among_thousands():
    """The compiled way, at a size where it is taken."""
    for case in planted():
        if case.anomaly not in ("G-single", "G2-item", "G0", "G1c-realtime"):
            continue
        lists = case.kind == "list-append"
        f = "append" if lists else "w"
        txns = []
        for i in range(4_000):
            before = [i - 1] if lists else i - 1
            mops = [["r", f"k{i - 1}", before if i else None], [f, f"k{i}", i]]
            txns.append(Txn(i % 7, 100 + 10 * i, 105 + 10 * i, "ok", mops))
        events = [*case.history, *history(txns)]
        moved = [
            type(op)(
                time=op.time,
                process=op.process + (100 if at < len(case.history) else 0),
                type=op.type,
                f="txn",
                value=op.value,
            )
            for at, op in enumerate(events)
        ]
        verdict = (AppendChecker if lists else WrChecker)().check(History(moved))
        assert set(found(verdict)) == case.shows
        assert verdict.judged > 4_000


# --- graphs --------------------------------------------------------------------------------------


def ends(*pairs):
    return tuple(np.array(side, dtype=np.int32) for side in zip(*pairs, strict=True))


def test_components_are_numbered_against_the_edges():
    source, target = ends((0, 1), (1, 2), (2, 1), (2, 3), (4, 0))
    group = components(5, source, target)
    assert group[1] == group[2]
    assert len(set(group.tolist())) == 4
    assert all(group[source] >= group[target])


def test_reaching_and_shortest_paths():
    source, target = ends((0, 1), (1, 2), (2, 3), (0, 4), (4, 3))
    start, goal = ends((0, 3), (3, 0), (1, 3))
    known = reaches(5, source, target, start, goal, budget=100)
    assert known.tolist() == [1, 0, 1]
    solid = np.array([True, True, True, True, False])
    pair, path = shortest(5, source, target, solid, start[:1], goal[:1], budget=100)
    assert pair == 0
    assert path.tolist() == [3, 4]
    assert shortest(5, source, target, solid, start[1:2], goal[1:2], budget=100)[0] == -1


def test_everybody_here_before_everybody_there_but_nobody_before_themselves():
    """Whoever is both source and target reaches all others and not itself."""
    for seed in range(200):
        rng = random.Random(seed)
        sources = [(rng.randrange(2), rng.randrange(6)) for _ in range(rng.randint(1, 12))]
        targets = [(rng.randrange(2), rng.randrange(6)) for _ in range(rng.randint(1, 12))]
        builder = Builder(6)
        group, source = map(np.array, zip(*sources, strict=True))
        goal, target = map(np.array, zip(*targets, strict=True))
        builder.add_through(
            group,
            source,
            goal,
            target,
            step=np.arange(len(target)),
            writes=np.zeros(len(source), dtype=np.bool_),
        )
        graph = builder.finished()
        expected = {(s, t) for g, s in sources for h, t in targets if g == h and s != t}
        assert _told(graph) == expected


def _told(graph):
    """The pairs of transactions between which a path leads through other nodes only."""
    after = {}
    for s, t in zip(graph.source.tolist(), graph.target.tolist(), strict=True):
        after.setdefault(s, []).append(t)
    pairs = set()
    for first in range(graph.transactions):
        todo = list(after.get(first, []))
        while todo:
            node = todo.pop()
            if node < graph.transactions:
                pairs.add((first, node))
            else:
                todo += after.get(node, [])
    return pairs
