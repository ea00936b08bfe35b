"""A suite as JUnit XML: a case of ours is a class, a cell a test."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from .expectations import SAID, Judged, Status
from .runner import Finished

_ELEMENT: dict[Status, str] = {
    "violated": "failure",
    "missed": "failure",
    "unknown": "failure",
    "broke": "error",
    "interrupted": "error",
    "skipped": "skipped",
}
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(finished: Finished, path: Path) -> None:
    """Write the file; it is there completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(junit(finished))
    partial.replace(path)


def junit(finished: Finished) -> bytes:
    """The document: `testsuites`, one `testsuite`, a `testcase` for each cell."""
    counts = _counts(finished.cells)
    sums = {name: count for name, count in counts.items() if name != "skipped"}
    every = ET.Element("testsuites", {**sums, "time": f"{finished.seconds:.3f}"})
    suite = ET.SubElement(
        every,
        "testsuite",
        {"name": _text(finished.suite.name), **counts, "time": f"{finished.seconds:.3f}"},
    )
    for judged in finished.cells:
        _case(suite, judged)
    ET.indent(every)
    document: bytes = ET.tostring(every, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _counts(cells: Sequence[Judged]) -> dict[str, str]:
    kinds = [_ELEMENT.get(judged.status) for judged in cells]
    return {
        "tests": str(len(cells)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
    }


def _case(suite: ET.Element, judged: Judged) -> None:
    cell = judged.cell
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "classname": _text(cell.case),
            "name": _text(cell.fault),
            "time": f"{judged.seconds:.3f}",
        },
    )
    element = _ELEMENT.get(judged.status)
    if element is not None:
        attributes = {"message": _text(_first_line(judged.reason))}
        if element != "skipped":
            attributes["type"] = SAID[judged.status]
        ET.SubElement(case, element, attributes).text = _text(judged.reason)
    ET.SubElement(case, "system-out").text = _text("\n".join(_told(judged)))


def _told(judged: Judged) -> list[str]:
    lines = [SAID[judged.status], judged.reason, *judged.notes]
    for outcome in judged.outcomes:
        lines.append(f"seed {outcome.seed}: {outcome.said} {outcome.folder or ''}".rstrip())
    return lines


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else ""


def _text(text: str) -> str:
    """Text without the characters that XML cannot have."""
    return _NOT_XML.sub("\ufffd", text)
