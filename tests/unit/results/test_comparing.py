"""Two sets of runs side by side: odds, speed, levels, and what was made differently."""

import json

import pytest

from dokkaebi import UsageError
from dokkaebi.results.comparing import as_json, compare, differences, lines, sides


def run(folder, number, *anomalies, label="counter/x", speed=100.0, ruled_out=(), **more):
    """A stored run that was judged."""
    path = folder / f"{number:04d}-counter-x"
    path.mkdir(parents=True)
    spec = {"label": label, "faults": more.pop("faults", []), "seed": number, "workers": 8} | more
    (path / "spec.json").write_text("{}")
    (path / "verdict.json").write_text(
        json.dumps(
            {
                "anomalies": [{"type": name} for name in anomalies],
                "not": list(ruled_out),
                "spec": spec,
                "stats": {"ops_per_second": speed, "latency_ms": {"p99": 1000 / speed}},
                "environment": {"versions": {"python": "3.11"}, "platform": "here"},
            }
        )
    )
    return path


def side(folder, *found, **more):
    return [run(folder, number, *names, **more) for number, names in enumerate(found, start=1)]


def test_what_is_new_comes_with_its_odds(tmp_path):
    before = side(tmp_path / "a", *[()] * 40)
    now = side(tmp_path / "b", *[("G0",)] * 3)
    (odds,) = compare(before, now).anomalies
    assert (odds.state, odds.may_be_chance) == ("new", False)
    assert "  new       G0: 0 of 40 before, 3 of 3 now" in lines(differences(before, now))


@pytest.mark.parametrize(
    ("before", "now", "state", "chance"),
    [
        ([("x",)], [()], "gone", True),
        ([("x",)] * 10, [()] * 10, "gone", False),
        ([("x",)] * 10, [("x",)], "persists", True),
    ],
)
def test_what_is_gone_or_persists(tmp_path, before, now, state, chance):
    (odds,) = compare(side(tmp_path / "a", *before), side(tmp_path / "b", *now)).anomalies
    assert (odds.state, odds.may_be_chance) == (state, chance)


def test_speed_is_told_only_where_runs_agree(tmp_path):
    def sped(name, *speeds):
        return [run(tmp_path / name, i, speed=s) for i, s in enumerate(speeds, start=1)]

    slow, fast, noisy = sped("s", 90, 100, 110), sped("f", 180, 200, 220), sped("n", 80, 200, 120)
    throughput, latency = compare(slow, fast).speeds
    assert throughput.told == "×2.00 (×1.64 to ×2.44)"
    assert latency.now < latency.before
    assert compare(slow, noisy).speeds[0].told == "too noisy to say: ×0.73 to ×2.22"
    assert compare(slow, fast[:1]).speeds[0].told == "too noisy to say: 1 run on a side"


def test_what_was_made_differently_is_said_first_and_seeds_are_not(tmp_path):
    a = side(tmp_path / "a", (), ruled_out=["serializable"])
    b = side(tmp_path / "b", (), workers=16)
    told = list(lines(differences(a, b)))
    assert told.index("made differently") < told.index("levels") < len(told)
    assert "  workers: 8 -> 16" in told
    assert "  ruled out: serializable -> nothing" in told
    assert not any("seed" in line for line in told)
    assert json.loads(as_json(differences(a, b)))["tests"][0]["changes"][0]["name"] == "workers"


def test_folders_of_several_tests_are_compared_test_by_test(tmp_path):
    a = [run(tmp_path / "a", 1, "G0"), run(tmp_path / "a", 2, faults=["kill"])]
    b = [run(tmp_path / "b", 1, "G0"), run(tmp_path / "b", 2, label="counter/y")]
    found = differences(a, b)
    assert list(found.tests) == ["counter/x/none"]
    assert found.only == (("counter/x/kill", "A"), ("counter/y/none", "B"))
    assert not found.news


def test_a_folder_of_runs_is_all_of_them_and_one_without_a_verdict_is_told(tmp_path):
    made = side(tmp_path / "a", (), ())
    assert sides(tmp_path, str(tmp_path / "a")) == made
    assert sides(tmp_path / "a", "2") == made[1:]
    (made[0] / "verdict.json").unlink()
    with pytest.raises(UsageError, match="has no verdict; `dokkaebi check"):
        compare(made, made)
