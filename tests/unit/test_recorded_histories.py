"""Histories that other projects recorded, each with the verdict that is known of it.

They are read from the folder that DOKKAEBI_HISTORIES names: `knossos/` (Knossos's own test
histories), `elle-cli/` and `awdit/` (the examples of those tools). The tests are skipped without it.
"""

import os
from pathlib import Path

import pytest

from dokkaebi.judging import Given, check_history
from dokkaebi.results.meter import Meter

FOLDER = os.environ.get("DOKKAEBI_HISTORIES")
ROOT = Path(FOLDER or ".")

pytestmark = pytest.mark.skipif(not FOLDER, reason="DOKKAEBI_HISTORIES is not set")

STARTS_NIL = ("mongodb-", "rethink-", "cas-failure")
"""Histories of compare-and-set registers that were not set to 0 before the first operation."""


def files(pattern: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(pattern)) if FOLDER else []


def verdict(name: str, **said: object) -> tuple[str, list[str]]:
    """What a check of a file says, and the anomalies that it names.

    Where every operation failed nothing happened: no more than "not violated" can be said.
    """
    finished = check_history(str(ROOT / name), Given(**said), meter=Meter())
    found, figures = finished.result.verdict, finished.result.stats
    if not figures.ok and not figures.info and found.verdict == "unknown":
        return "holds", []
    assert found.verdict != "unknown", found.reason
    return found.verdict, [anomaly.type for anomaly in found.anomalies]


# --- Knossos: models ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", files("knossos/cas-register/*/*.edn"))
def test_compare_and_set_registers(name):
    nil = Path(name).name.startswith(STARTS_NIL)
    expected = "holds" if "/good/" in name else "violated"
    said, _ = verdict(name, model="cas-register", initial="nil" if nil else "0")
    assert said == expected


@pytest.mark.parametrize("name", files("knossos/multi-register/good/*.edn"))
def test_several_registers_at_once(name):
    said, _ = verdict(name, model="multi-register", initial='{"x": 0, "y": 0}')
    assert said == "holds"


@pytest.mark.parametrize("name", files("knossos/mutex/bad/*.edn"))
def test_a_mutex_that_two_held(name):
    said, _ = verdict(name, model="mutex")
    assert said == "violated"


# --- elle-cli: application histories --------------------------------------------------------------


@pytest.mark.parametrize("name", files("elle-cli/counter.*"))
def test_a_counter_that_was_only_added_to(name):
    assert verdict(name, workload="counter")[0] == "holds"
    assert verdict(name)[0] == "holds"


@pytest.mark.parametrize("name", files("elle-cli/set.edn"))
def test_a_set_that_kept_everything(name):
    assert verdict(name, workload="set")[0] == "holds"
    assert verdict(name)[0] == "holds"


@pytest.mark.parametrize("name", files("elle-cli/set_full.edn"))
def test_a_set_that_lost_elements(name):
    said, anomalies = verdict(name, workload="set")
    assert said == "violated"
    assert anomalies


@pytest.mark.parametrize("name", files("elle-cli/bank.*"))
def test_a_bank_that_kept_its_money(name):
    assert verdict(name, workload="bank")[0] == "holds"
    assert verdict(name)[0] == "holds"


@pytest.mark.parametrize("name", files("elle-cli/bank-tidb.edn"))
def test_a_bank_that_lost_money(name):
    said, anomalies = verdict(name)
    assert said == "violated"
    assert "conservation" in anomalies


@pytest.mark.parametrize("name", files("elle-cli/bank-neg.edn"))
def test_a_bank_that_may_be_overdrawn(name):
    assert verdict(name, params={"allow_negative": "true"})[0] == "holds"


@pytest.mark.parametrize("name", files("elle-cli/long-fork.edn"))
def test_a_long_fork(name):
    said, anomalies = verdict(name)
    assert said == "violated"
    assert "long-fork" in anomalies


@pytest.mark.parametrize("name", files("elle-cli/rw-register.*"))
def test_registers_in_transactions(name):
    assert verdict(name, workload="wr")[0] == "holds"
    assert verdict(name)[0] == "holds"


# --- AWDIT: weak levels ---------------------------------------------------------------------------

LADDER = ("monotonic-read-committed", "read-atomic", "causal-cerone")
"""From weak to strong, as this project calls what AWDIT calls RC, RA and CC."""

FULFILS = {"none": 0, "read-committed": 1, "read-atomic": 2, "causal": 3}
"""How many of the ladder's levels the histories of each folder fulfil."""


@pytest.mark.parametrize("level", LADDER)
@pytest.mark.parametrize("name", files("awdit/**/*.txt"))
def test_the_folder_is_the_strongest_level_that_holds(name, level):
    fulfils = FULFILS[Path(name).parts[1]]
    expected = "holds" if LADDER.index(level) < fulfils else "violated"
    assert verdict(name, level=level)[0] == expected
