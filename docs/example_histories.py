"""The histories of `docs/examples`: how each is judged, and its pictures.

`examples.toml` beside them says what `check` is told of each, where it cannot know it from the file
alone. They are judged anew whenever the pages are drawn.
"""

import re
import shlex
import tomllib
from pathlib import Path

from dokkaebi.judging import Given, Judged, check_history
from dokkaebi.results.meter import Meter
from dokkaebi.results.page import anomaly_view

FOLDER = Path(__file__).parent / "examples"
PICTURES = ("lanes", "closer", "prefix", "ring", "ladder")


def drawn(
    judged: Judged, number: int, *, folder: str, name: str
) -> tuple[list[str], dict[str, str]]:
    """An anomaly's pictures and its sentence as lines of a page, and the pictures by their paths."""
    anomaly = judged.result.verdict.anomalies[number]
    view = anomaly_view(anomaly, number, judged.result, judged.history)
    told, pictures = [], {}
    for kind in PICTURES:
        if view[kind]:
            file = f"{name}-{kind}.svg"
            pictures[f"docs/{folder}/{file}"] = alone(str(view[kind]))
            told.append(f"![{kind}]({file})")
    return [*told, view["sentence"]], pictures


def command(name: str) -> str:
    """The line that judges an example, as a page shows it."""
    return f"    dokkaebi {shlex.join(arguments(name))}"


def options() -> dict[str, dict]:
    """What `check` is told of the examples, by anomaly."""
    return tomllib.loads((FOLDER / "examples.toml").read_text())


def arguments(name: str) -> list[str]:
    """The command line that judges an example."""
    told = options().get(name, {})
    flags = []
    for kind in ("workload", "level"):
        flags += [f"--{kind}", told[kind]] if kind in told else []
    for param, value in told.get("params", {}).items():
        flags += ["--param", f"{param}={value}"]
    return ["check", f"docs/examples/{name}.jsonl", *flags]


def judge(name: str) -> Judged:
    """The verdict on an example."""
    return check_history(
        str(FOLDER / f"{name}.jsonl"), Given(**options().get(name, {})), meter=Meter()
    )


def alone(svg: str) -> str:
    """A picture of a report as a file of its own."""
    if "xmlns=" not in svg.partition(">")[0]:
        svg = svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return re.sub(r">\s*<", ">\n<", svg) + "\n"
