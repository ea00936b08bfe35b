"""Who may import whom: the house of docs/architecture.md, enforced."""

import ast
from pathlib import Path

import pytest

import dokkaebi

ROOT = Path(dokkaebi.__file__).parent.resolve()

MAY = {
    "harness": set(),
    "backends": {"harness"},
    "nemesis": {"harness"},
    "checkers": {"harness"},
    "workloads": {"harness", "checkers"},
    "results": {"harness", "checkers"},
    "suite": {"harness", "checkers", "compose", "cli", "results"},
    "failures": {"harness", "checkers", "compose", "cli", "results", "suite"},
}
OF_CHECKERS = {"anomalies", "levels", "models"}
"""What rooms that only tell of anomalies may know of the checkers."""
LEAVES = {"interning", "history", "pairing", "columns", "verdict", "errors", "lease"}
LEAF_PACKAGES = {"msgspec", "numpy"}


def imports(path: Path):
    """(level, module) of every import in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{a.name}" if node.module else a.name for a in node.names]
            yield from ((node.level, name) for name in names)
        elif isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)


def rooms_used(path: Path):
    """The rooms (first folder or root module) that a file of the package imports."""
    depth = len(path.relative_to(ROOT).parts)
    for level, name in imports(path):
        if level == depth:
            yield tuple(name.split("."))
        elif level == 0 and name.split(".")[0] == "dokkaebi":
            yield tuple(name.split(".")[1:])


def files(room: str):
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", MAY)
def test_a_room_imports_only_what_it_may(room):
    found = files(room)
    assert found, f"the room {room} is empty"
    for path in found:
        for used in rooms_used(path):
            assert used[0] in MAY[room] | {room}, f"{path.relative_to(ROOT)} imports {used[0]}"


@pytest.mark.parametrize("room", ["results", "suite"])
def test_only_names_and_definitions_are_imported_from_checkers(room):
    for path in files(room):
        for used in rooms_used(path):
            if used[0] == "checkers":
                assert used[1] in OF_CHECKERS, f"{path.name} imports checkers.{used[1]}"


def test_the_leaf_modules_need_only_the_standard_library_msgspec_and_numpy():
    import sys

    for name in LEAVES:
        for level, module in imports(ROOT / "harness" / f"{name}.py"):
            first = module.split(".")[0]
            if level == 0:
                assert first in LEAF_PACKAGES | set(sys.stdlib_module_names), f"{name}: {first}"
            else:
                assert first in LEAVES, f"{name} imports {first}"


def test_every_module_says_what_it_is_for():
    for room in MAY:
        for path in files(room):
            text = ast.get_docstring(ast.parse(path.read_text()))
            assert text, f"{path.relative_to(ROOT)} has no docstring"


def test_each_public_name_is_exported_once_and_loads():
    for name in dokkaebi.__all__:
        assert getattr(dokkaebi, name) is not None
    assert len(dokkaebi.__all__) == len(set(dokkaebi.__all__))


def test_the_package_has_no_asserts():
    """Through the pytest11 entry point pytest rewrites them, and compiled kernels break."""
    for room in MAY:
        for path in files(room):
            for node in ast.walk(ast.parse(path.read_text())):
                assert not isinstance(node, ast.Assert), f"{path.relative_to(ROOT)}:{node.lineno}"
