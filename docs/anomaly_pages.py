"""A page for each anomaly: what it means, the smallest history that shows it, and its picture.

The histories are `docs/examples/<anomaly>.jsonl`.
"""

import example_histories as examples

from dokkaebi.checkers.anomalies import ANOMALIES, SUFFIXES, Definition, implied, noun
from dokkaebi.checkers.levels import ruled_out, weakest
from dokkaebi.checkers.remedies import remedy

INDEX = """# Anomalies

What the checkers find, by name. Each page has the smallest history that shows it, as a file to judge
for oneself, and its picture. Drawn from the code by `make docs`.

| name | what it is |
|---|---|
"""


def pages() -> dict[str, str]:
    """Every page and picture by its path below the project."""
    found = {"docs/anomalies/index.md": index()}
    for definition in ANOMALIES.values():
        found |= page(definition)
    return found


def index() -> str:
    """A line for each anomaly."""
    lines = [f"| [{each.name}]({each.name}.md) | {each.meaning} |" for each in ANOMALIES.values()]
    return INDEX + "\n".join(lines) + "\n"


def page(definition: Definition) -> dict[str, str]:
    """The page of one anomaly, and its pictures."""
    name = definition.name
    called = noun(name)
    title = name if called == name.replace("-", " ") else f"{name}: {called}"
    parts = [f"# {title}", f"{definition.meaning} {definition.impact}"]
    pictures = {}
    example = example_of(name)
    if example is not None:
        told, pictures = shown(name, example)
        parts += told
    parts += facts(definition)
    text = "\n\n".join(parts) + "\n"
    return {f"docs/anomalies/{name}.md": text} | pictures


def example_of(name: str) -> str | None:
    """The name of the history that shows an anomaly."""
    if (examples.FOLDER / f"{name}.jsonl").exists():
        return name
    return "PL-3-cycle-exists" if name.endswith("-cycle-exists") else None


def shown(name: str, example: str) -> tuple[list[str], dict[str, str]]:
    """The example with its pictures, and the command that judges it."""
    if example != name:
        told = f"The same at another level stands at [{example}]({example}.md):"
        return ["## An example", told, examples.command(example)], {}
    judged = examples.judge(example)
    number = next(
        number
        for number, each in enumerate(judged.result.verdict.anomalies)
        if each.type.startswith(name)
    )
    told, pictures = examples.drawn(judged, number, folder="anomalies", name=name)
    return ["## An example", *told, "Judge it yourself:", examples.command(example)], pictures


def facts(definition: Definition) -> list[str]:
    """What else there is to say: variants, levels, how to mend it, where it is defined."""
    name = definition.name
    told = []
    if definition.cyclic:
        variants = [f"* `{name}{suffix}`: {meaning}." for suffix, meaning in SUFFIXES.items()]
        told += ["## Variants", "\n".join(variants)]
    broken = weakest(ruled_out([name]))
    follows = sorted(implied([name]) - {name} - {f"{name}{suffix}" for suffix in SUFFIXES})
    follows = [each for each in follows if each in ANOMALIES]
    if broken:
        told += ["## What it rules out", f"The weakest levels that forbid it: {', '.join(broken)}."]
    if follows:
        links = ", ".join(f"[{each}]({each}.md)" for each in follows)
        told.append(f"Whoever finds it has also found {links}.")
    mend = remedy(name)
    if mend:
        told += ["## How to mend it", mend]
    return [*told, f"*{definition.source}*"]
