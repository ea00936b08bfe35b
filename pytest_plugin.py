"""The pytest plugin: a fixture `dokkaebi` that runs tests of consistency, and their options.

Light: where nobody asks for the fixture, nothing but this module is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .suite.testing import Bench, Harness

MARKER = (
    "dokkaebi(**wishes): what `dokkaebi.run` of this test asks for unless it says otherwise, "
    'like faults=["pause-client"], time="5s"'
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--dokkaebi-seed`, `--dokkaebi-time-scale` and `--dokkaebi-out`."""
    group = parser.getgroup("dokkaebi", "consistency tests with Dokkaebi")
    group.addoption(
        "--dokkaebi-seed", type=int, default=1, metavar="N", help="Seed of all runs (1)."
    )
    group.addoption(
        "--dokkaebi-time-scale",
        type=float,
        default=1.0,
        metavar="X",
        help="Every run takes X times as long (1).",
    )
    group.addoption(
        "--dokkaebi-out",
        default="dokkaebi-runs",
        metavar="DIR",
        help="The folder of runs (dokkaebi-runs).",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the marker, and refuse what cannot be meant."""
    config.addinivalue_line("markers", MARKER)
    if config.getoption("--dokkaebi-time-scale") <= 0:
        raise pytest.UsageError("--dokkaebi-time-scale must be greater than 0")


@pytest.fixture(scope="session")
def _dokkaebi_bench(pytestconfig: pytest.Config) -> Iterator[Bench]:
    """The servers of this session, or of this worker of xdist's."""
    from pathlib import Path

    from .suite.testing import Bench

    with Bench(
        out=Path(pytestconfig.rootpath, pytestconfig.getoption("--dokkaebi-out")),
        seed=pytestconfig.getoption("--dokkaebi-seed"),
        scale=pytestconfig.getoption("--dokkaebi-time-scale"),
    ) as bench:
        yield bench


@pytest.fixture
def dokkaebi(request: pytest.FixtureRequest, _dokkaebi_bench: Bench) -> Harness:
    """Runs strategies against real servers: `dokkaebi.run(MyLock).must_hold()`."""
    wishes: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("dokkaebi"))):
        if marker.args:
            raise pytest.UsageError(f"{request.node.nodeid}: dokkaebi(...) takes names only")
        wishes |= marker.kwargs
    properties = request.node.user_properties
    return _dokkaebi_bench.harness(wishes, record=lambda *pair: properties.append(pair))
