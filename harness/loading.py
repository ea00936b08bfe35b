"""Finding strategies: by reference, or in a user's own file.

A strategy travels as `module:QualName` or `FILE.py:QualName`, never pickled.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import StrategyBroken, UsageError


def load_object(reference: str) -> Any:
    """What `module:QualName` names."""
    module, _, name = reference.partition(":")
    return attrgetter(name)(importlib.import_module(module))


def load_strategy(reference: str, *, keep_path: bool = False) -> type[Any]:
    """The class that `module:QualName` or `FILE.py:QualName` names.

    With `keep_path` the file's folder stays on the path, for what its methods import later.
    """
    where, _, name = reference.rpartition(":")
    module = (
        load_file(Path(where), keep_path=keep_path)
        if where.endswith(".py")
        else importlib.import_module(where)
    )
    try:
        found = attrgetter(name)(module)
    except AttributeError:
        raise UsageError(f"{where} has no class {name}") from None
    if not isinstance(found, type):
        raise UsageError(f"{reference} is no class")
    return found


def load_file(path: Path, *, keep_path: bool = False) -> ModuleType:
    """Import a user's file, its folder first on the path; its own traceback if that fails."""
    path = path.resolve()
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    name = path.stem
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    if loaded is None:  # a module of the same name that others use stays theirs
        sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise StrategyBroken(
            f"{path.name} cannot be imported: {type(error).__name__}: {error}",
            own_traceback(error, path),
        ) from error
    finally:
        if not keep_path and str(path.parent) in sys.path:
            sys.path.remove(str(path.parent))
    return module


def strategies_in(module: ModuleType) -> dict[str, type[Any]]:
    """The strategies that a module defines: its public classes that say which workload they are of."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and not name.startswith("_")
        and isinstance(getattr(value, "workload", None), str)
    }


def own_traceback(error: BaseException, file: str | Path | None) -> str:
    """The traceback of `error` from its first frame in `file` on; its last line if none is."""
    frames = traceback.extract_tb(error.__traceback__)
    if file is not None:
        mine = [i for i, frame in enumerate(frames) if Path(frame.filename) == Path(file)]
        if not mine:  # the harness's own words about an answer: its frames help nobody
            return "".join(traceback.format_exception_only(error))
        frames = traceback.StackSummary.from_list(frames[mine[0] :])
    lines = ["Traceback (most recent call last):\n", *frames.format()]
    return "".join([*lines, *traceback.format_exception_only(error)])
