"""The checkers of transactions against brute force, on simulated stores, with one anomaly planted,
and under changes that must not matter."""

import random
import re
from itertools import pairwise

import msgspec
import pytest
from dependency_oracle import classes, tidy
from fuzzing import cases, seeds, shared
from hypothesis import given, settings
from hypothesis import strategies as st
from isolation_oracle import satisfied, unordered
from planted import NAMES, planted
from transactional import chaos_append, chaos_wr, history, stored
from weak_oracle import weak_level_holds

from dokkaebi.checkers import compiled
from dokkaebi.checkers.anomalies import implied
from dokkaebi.checkers.transactions import AppendChecker, WrChecker
from dokkaebi.checkers.transactions.versions import DEMANDS
from dokkaebi.checkers.transactions.visibility import INITIAL
from dokkaebi.checkers.transactions.weak import WEAK
from dokkaebi.harness.errors import UsageError
from dokkaebi.harness.history import History

APPEND, WR = AppendChecker(), WrChecker()
KINDS = {"list-append": (AppendChecker, chaos_append), "rw-register": (WrChecker, chaos_wr)}
PROMISED = {
    "serializable": "strict-serializable",
    "snapshot": "strong-snapshot-isolation",
    "committed": "strong-read-committed",
}
CYCLES = {
    base + suffix
    for base in ("G0", "G1c", "G-single", "G-nonadjacent", "G2-item")
    for suffix in ("", "-process", "-realtime")
}


def broken(verdict):
    return {*verdict.not_, *verdict.also_not}


def found(verdict):
    return {anomaly.type for anomaly in verdict.anomalies}


def agree(seed, lists):
    """Whatever is ruled out has no execution; for lists also the other way round."""
    rng = random.Random(seed)
    txns = (chaos_append if lists else chaos_wr)(rng)
    verdict = (APPEND if lists else WR).check(history(txns))
    out, names = broken(verdict), found(verdict)
    for level, possible in satisfied(txns, lists).items():
        if possible:
            assert level not in out, (seed, level, names)
        elif lists and any(txn.type == "ok" for txn in txns):
            # That a transaction sees its own writes is no part of read committed.
            own = "internal" in names and "committed" in level
            either = "snapshot" in level and unordered(txns)
            assert level in out or own or either, (seed, level, names)


@shared
def test_lists_agree_with_brute_force(share):
    for seed in seeds(400, share, oracle=True):
        agree(seed, lists=True)


def test_classes_of_cycles_are_those_of_the_definitions():
    judged = 0
    for seed in range(cases(300)):
        txns = chaos_append(random.Random(seed), most=8)
        if tidy(txns):
            judged += 1
            told = implied(found(APPEND.check(history(txns))) & CYCLES) & CYCLES
            assert told == implied(classes(txns)) & CYCLES, seed
    assert judged > 200


@shared
def test_registers_are_never_accused_of_what_brute_force_explains(share):
    for seed in seeds(400, share, oracle=True):
        agree(seed, lists=False)


def test_registers_hold_exactly_where_brute_force_finds_an_execution():
    held = dict.fromkeys(DEMANDS, 0)
    number = cases(150)
    for seed in range(number):
        txns = chaos_wr(random.Random(seed))
        if not any(txn.type == "ok" for txn in txns):
            continue
        possible = satisfied(txns, False)
        for level in DEMANDS:
            verdict = WrChecker(level=level).check(history(txns))
            if level == "repeatable-read" and "internal" in verdict.reason:
                # That a transaction sees its own writes is no part of it.
                continue
            expected = possible["serializable" if level == "repeatable-read" else level]
            assert (verdict.verdict == "holds") == expected, (seed, level, verdict)
            held[level] += expected
    assert all(0.1 * number < each < 0.95 * number for each in held.values()), held


def visible(txns):
    """The transactions as the oracle of weak levels has them; None where reads are wrong anyway."""
    rows = sorted((txn for txn in txns if txn.type == "ok"), key=lambda txn: txn.call)
    final = {(k, v): t for t, txn in enumerate(rows) for f, k, v in txn.mops if f == "w"}
    last = {(t, k): v for t, txn in enumerate(rows) for f, k, v in txn.mops if f == "w"}
    told = []
    for t, txn in enumerate(rows):
        mops, own = [], {}
        for f, key, value in txn.mops:
            writer = final.get((key, value), INITIAL)
            if f == "w":
                own[key] = value
            elif key in own:
                if own[key] != value:
                    return None
            elif value is not None and (writer in (INITIAL, t) or last[writer, key] != value):
                return None
            else:
                mops.append(("r", key, writer if value is not None else INITIAL))
        told.append([*mops, *(("w", key) for key in own)])
    return told, [txn.process for txn in rows]


@shared
def test_weak_levels_of_registers_agree_with_their_axioms(share):
    held = dict.fromkeys(WEAK, 0)
    judged = 0
    chosen = seeds(1500, share, oracle=True)
    for seed in chosen:
        txns = chaos_wr(random.Random(seed))
        said = visible(txns)
        if said is None or not said[0] or any(txn.type == "info" for txn in txns):
            continue
        judged += 1
        for level, axiom in WEAK.items():
            verdict = WrChecker(level=level).check(history(txns))
            expected = weak_level_holds(*said, axiom)
            other = found(verdict) & {"internal"}
            assert (verdict.verdict == "holds") == expected or other, (seed, level, verdict)
            held[level] += verdict.verdict == "holds"
    assert judged > len(chosen) // 10
    assert 0 < held["causal-cerone"] < held["monotonic-read-committed"] < judged


def visible_lists(txns):
    """The same for lists, with the writers whose order is known; None where reads are wrong."""
    rows = sorted((txn for txn in txns if txn.type == "ok"), key=lambda txn: txn.call)
    writer = {(k, v): t for t, txn in enumerate(rows) for f, k, v in txn.mops if f == "append"}
    order = {}
    for txn in rows:
        for f, key, seen in txn.mops:
            if f == "r" and len(seen or ()) > len(order.get(key, ())):
                order[key] = list(seen)
    if len({(k, v) for k in order for v in order[k]}) < sum(map(len, order.values())):
        return None
    told = []
    for t, txn in enumerate(rows):
        mops, own = [], []
        for f, key, value in txn.mops:
            if f == "append":
                own.append(key)
                continue
            seen = list(value or ())
            if seen != order.get(key, [])[: len(seen)] or any((key, v) not in writer for v in seen):
                return None
            sources = [writer[key, v] for v in seen]
            if key not in own and t not in sources:
                mops.append(("r", key, sources[-1] if sources else INITIAL))
            elif key not in own:
                return None
        told.append([*mops, *(("w", key) for key in dict.fromkeys(own))])
    known = set()
    for key in {key for key, _ in writer}:
        seen = order.get(key, [])
        known |= set(pairwise(writer[key, v] for v in seen))
        if seen:
            last = writer[key, seen[-1]]
            known |= {(last, t) for (k, v), t in writer.items() if k == key and v not in seen}
    return told, [txn.process for txn in rows], [(a, b) for a, b in known if a != b]


@shared
def test_weak_levels_of_lists_agree_with_their_axioms(share):
    held = dict.fromkeys(WEAK, 0)
    judged = 0
    chosen = seeds(2500, share)
    for seed in chosen:
        txns = chaos_append(random.Random(seed))
        said = visible_lists(txns)
        if said is None or not said[0] or any(txn.type == "info" for txn in txns):
            continue
        judged += 1
        for level, axiom in WEAK.items():
            verdict = AppendChecker(level=level).check(history(txns))
            expected = weak_level_holds(*said[:2], axiom, said[2])
            # Its own appends out of place are anomalies of another kind, whatever the level.
            other = {"internal", "G1b"} & {*found(verdict), *re.findall(r"[\w-]+", verdict.reason)}
            assert (verdict.verdict == "holds") == expected or other, (seed, level, verdict)
            held[level] += verdict.verdict == "holds"
    assert judged > len(chosen) // 20
    assert 0 < held["causal-cerone"] <= held["monotonic-read-committed"] < judged


@settings(max_examples=50, deadline=None)
@given(st.integers(min_value=10**6), st.booleans())
def test_any_seed_agrees_with_brute_force(seed, lists):
    agree(seed, lists)


@pytest.mark.parametrize("isolation", PROMISED)
@pytest.mark.parametrize("lists", [True, False])
def test_a_store_keeps_what_it_promises(isolation, lists):
    checker = (AppendChecker if lists else WrChecker)(level=PROMISED[isolation])
    for seed in range(cases(25)):
        rng = random.Random(seed)
        plan = stored(
            rng,
            isolation=isolation,
            lists=lists,
            count=rng.randint(5, 60),
            keys=rng.randint(1, 5),
        )
        verdict = checker.check(history(plan))
        assert verdict.verdict == "holds", (seed, verdict)


def test_stores_that_promise_less_are_found_out():
    seen = set()
    for seed in range(40):
        for isolation in ("snapshot", "committed"):
            plan = stored(random.Random(seed), isolation=isolation, lists=True, keys=2)
            seen |= {(isolation, name) for name in found(APPEND.check(history(plan)))}
    assert {("snapshot", "G2-item"), ("committed", "G-single")} <= seen
    assert all(name.startswith("G2-item") for isolation, name in seen if isolation == "snapshot")


# --- one anomaly in a valid history --------------------------------------------------------------


def among(case, rng):
    """The planted operations in the middle of a valid history, on keys and processes of their own."""
    base = list(
        history(
            stored(rng, isolation="serializable", lists=case.kind == "list-append", final=False)
        )
    )
    shift = rng.randint(0, 150)
    mine = [
        msgspec.structs.replace(op, index=-1, time=op.time + shift, process=op.process + 5_000)
        for op in case.history
    ]
    events = [msgspec.structs.replace(op, index=-1) for op in base] + mine
    events.sort(key=lambda op: (op.time, op.type != "invoke", op.process))
    return History(events)


@pytest.mark.parametrize("case", planted(), ids=str)
def test_exactly_what_is_planted_is_found_at_every_level(case):
    checker, _ = KINDS[case.kind]
    for text in [case.history, *(among(case, random.Random(seed)) for seed in range(4))]:
        verdict = checker().check(text)
        assert found(verdict) == case.shows
        for level in NAMES.values():
            at = checker(level=level).check(text)
            assert at.verdict == ("violated" if level in case.broken else "holds"), level
            assert bool(at.anomalies) == (level in case.broken)
            assert found(at) <= case.shows
            assert broken(at) & set(NAMES.values()) == case.broken
        assert (verdict.strongest or "none") == case.strongest


def test_every_class_is_planted():
    names = {case.anomaly for case in planted()}
    assert names >= CYCLES
    assert len(planted()) >= 45


# --- what must not matter ------------------------------------------------------------------------


def told(checker, text):
    verdict = checker.check(text)
    return (
        verdict.verdict,
        verdict.not_,
        verdict.also_not,
        verdict.strongest,
        verdict.judged,
        {(anomaly.type, anomaly.count) for anomaly in verdict.anomalies},
    )


def changed(text, **changes):
    return History(
        [
            msgspec.structs.replace(op, **{name: change(op) for name, change in changes.items()})
            for op in text
        ]
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.permutations(range(40)), st.integers(0, 10**12), st.booleans())
def test_names_and_dates_do_not_matter(seed, processes, shift, lists):
    checker = APPEND if lists else WR
    text = history((chaos_append if lists else chaos_wr)(random.Random(seed)))

    def renamed(op):
        def name(value):
            if isinstance(value, list):
                return [name(each) for each in value]
            return None if value is None else f"v{value}"

        return [[f, f"key {7 - key}", name(value)] for f, key, value in op.value]

    expected = told(checker, text)
    assert told(checker, changed(text, value=renamed)) == expected
    assert told(checker, changed(text, time=lambda op: op.time + shift)) == expected
    assert told(checker, changed(text, time=lambda op: op.time * 1000)) == expected
    assert told(checker, changed(text, process=lambda op: processes[op.process])) == expected


def test_compiled_kernels_say_the_same(monkeypatch):
    texts = [history(chaos_append(random.Random(seed))) for seed in range(40)]
    expected = [APPEND.check(text) for text in texts]
    monkeypatch.setattr(compiled, "COMPILE_FROM", 0)
    assert [APPEND.check(text) for text in texts] == expected


def test_the_cycle_told_is_one():
    """Each arrow begins where the last one ended, and is a transaction's own."""
    for seed in range(150):
        lists = bool(seed % 2)
        text = history((chaos_append if lists else chaos_wr)(random.Random(seed)))
        for anomaly in (APPEND if lists else WR).check(text).anomalies:
            assert anomaly.ops
            assert anomaly.sentence.endswith(".")
            assert all(text.operation(op).index == op for op in anomaly.ops)
            edges = anomaly.evidence.get("edges", [])
            for one, two in zip(edges, [*edges[1:], *edges[:1]], strict=True):
                assert one["to"] == two["from"]
                assert one["from"] != one["to"]
            if edges:
                rels = [edge["rel"] for edge in edges]
                base = anomaly.type.removesuffix("-process").removesuffix("-realtime")
                anti = rels.count("rw")
                assert anti == {"G0": 0, "G1c": 0, "G-single": 1}.get(base, anti)
                assert anti >= 2 or base in ("G0", "G1c", "G-single")
                if base != anomaly.type:
                    assert {"process", "realtime"} & set(rels) or not lists
                msgspec.json.encode(anomaly)


JUNK = [
    None,
    True,
    0,
    -1,
    1.5,
    "x",
    "",
    [],
    {},
    [1],
    [None],
    {"a": 1},
    10**30,
    [[1]],
    "r",
    "append",
]


def spoiled(value, rng):
    """The same value with something in it changed, doubled, dropped or of another type."""
    if not isinstance(value, list) or not value or rng.random() < 0.2:
        return rng.choice(JUNK)
    value, at, how = list(value), rng.randrange(len(value)), rng.random()
    if how < 0.6:
        value[at] = spoiled(value[at], rng)
    elif how < 0.7:
        del value[at]
    elif how < 0.8:
        value.insert(at, value[at])
    elif how < 0.9:
        rng.shuffle(value)
    else:
        value[at] = rng.choice(JUNK)
    return value


def test_spoiled_values_get_a_verdict_or_a_clear_error():
    every, outcomes = planted(), set()
    for seed in range(cases(2_000)):
        rng = random.Random(seed)
        case = rng.choice(every)
        events = list(case.history)
        at = rng.randrange(len(events))
        value = spoiled(events[at].value, rng)
        events[at] = msgspec.structs.replace(events[at], value=value)
        try:
            verdict = KINDS[case.kind][0]().check(History(events))
        except UsageError as error:
            outcomes.add("refused" if "operation" in str(error) else str(error))
        else:
            msgspec.json.encode(verdict)
            outcomes.add(verdict.verdict)
    assert outcomes == {"refused", "violated", "holds"}
