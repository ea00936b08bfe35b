"""A failure as a pytest file that anybody can read, and that fails as the run did."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..harness.choosing import Wish, choose
from ..harness.spec import Spec, show_duration
from ..results.words import clean
from .plan import Reproduced


def written(found: Reproduced, *, sentence: str, history: Sequence[str], run: str) -> str:
    """A pytest file that fails as the run did; it needs nothing but Dokkaebi's own plugin."""
    wish, spec = found.wish, found.spec
    subject = spec.label if spec.label.count("/") == 1 and ".py" not in spec.label else None
    target = f'"{subject}"' if subject else f'"{_file(spec)}"'
    words = [
        f"{found.name} in {spec.label}, first seen in {run}.",
        "",
        *textwrap.wrap(clean(sentence, 2_000), 96),
        "",
        "The smallest part of that history:",
        "",
        *(f"    {clean(line, 88)}" for line in history),
        "",
        f"It came back in {found.shown} of {found.tried} runs of this test, which passes once it",
        "is mended.",
    ]
    lines = [
        f'"""{_in_a_docstring(words)}',
        '"""',
        "",
        "",
        f"def test_{_identifier(spec.label)}_shows_no_{_identifier(found.name)}(dokkaebi):",
        "    dokkaebi.run(",
        f"        {target},",
        *(f"        {name}={_written(value)}," for name, value in _options(wish, spec)),
        "    ).must_hold()",
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _in_a_docstring(words: Sequence[str]) -> str:
    text = "\n".join(words).replace("\\", "\\\\")
    return text.replace('"""', '\\"\\"\\"')


def _written(value: Any) -> str:
    """A value as Python has it, with the quotes that are usual."""
    return (
        repr(value) if "\\" in repr(value) or '"' in repr(value) else repr(value).replace("'", '"')
    )


def _options(wish: Wish, spec: Spec) -> Iterator[tuple[str, Any]]:
    usual, _ = choose(Wish(target=wish.target, strategy=wish.strategy, on=wish.on, seed=spec.seed))
    yield "faults", list(spec.faults)
    yield "time", show_duration(spec.time)
    yield "seed", spec.seed
    for name in ("on", "isolation", "level", "rate"):
        if getattr(wish, name) is not None:
            yield name, getattr(wish, name)
    for name in ("workers", "processes", "provider", "aim", "require_progress"):
        if getattr(spec, name) != getattr(usual, name):
            yield name, getattr(spec, name)
    if spec.faults and spec.lasts != usual.lasts:
        yield "for_", show_duration(spec.lasts)
    params = {name: value for name, value in spec.params.items() if usual.params.get(name) != value}
    if params:
        yield "params", params


def _file(spec: Spec) -> str:
    """A user's strategy as pytest finds it from where it is started."""
    file, _, name = spec.strategy.rpartition(":")
    path = Path(file)
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{shown}:{name}"


def _identifier(text: str) -> str:
    return re.sub(r"\W+", "_", text.lower()).strip("_")


def operation_lines(operations: Sequence[Any]) -> list[str]:
    """Operations as a reader of the file meets them, in the order of their invocation."""
    return [
        f"process {op.process}: {op.f} {_shown(op.asked)} -> {op.type}"
        + (f" {_shown(op.value)}" if op.value != op.asked else "")
        + (f" {_shown(op.result)}" if op.result is not None else "")
        for op in operations
    ]


def _shown(value: Any) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()
