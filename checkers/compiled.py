"""Kernels: number loops that run interpreted on small histories and compiled by numba on large ones.

numba takes a second to import, so it is imported only where a history repays it. What it compiles
is kept on disk in the user's cache folder. A compiled kernel runs in a daemon thread without the
interpreter lock: Ctrl-C is answered at once, which a call on the main thread would hold for seconds.
"""

from __future__ import annotations

import os
import sys
import threading
import types
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

COMPILE_FROM = 5_000
"""The size of the work (operations, edges) from which compiling pays."""

P = ParamSpec("P")
T = TypeVar("T")


class Kernel(Generic[P, T]):
    """A function over numbers and numpy arrays, callable as it is, and its compiled twin.

    It may call other kernels of its module; the twin calls their twins.
    """

    def __init__(self, function: Callable[P, T]) -> None:
        self.plain = function
        self._compiled: Callable[P, T] | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run interpreted."""
        return self.plain(*args, **kwargs)

    @property
    def compiled(self) -> Callable[P, T]:
        """The twin, compiled for the types of its arguments at its first call."""
        if self._compiled is None:
            self._compiled = self._compile()
        return self._compiled

    def _compile(self) -> Callable[P, T]:
        numba = _numba()
        source: Any = self.plain
        names = {
            name: value.compiled if isinstance(value, Kernel) and value is not self else value
            for name, value in source.__globals__.items()
            if name in source.__code__.co_names
        }
        twin = types.FunctionType(source.__code__, {**source.__globals__, **names}, source.__name__)
        twin.__module__, twin.__qualname__ = source.__module__, source.__qualname__
        compiled: Callable[P, T] = numba.njit(cache=True, nogil=True)(twin)
        return compiled


def kernel(function: Callable[P, T]) -> Kernel[P, T]:
    """Mark a function that `run` may compile; it must mean the same interpreted and compiled."""
    return Kernel(function)


def run(size: int, function: Kernel[..., T], *args: Any) -> T:
    """Call a kernel: interpreted where `size` is small, else compiled and interruptible."""
    if size < COMPILE_FROM:
        # Interpreted integers of numpy wrap as compiled ones do; that is meant, not worth a warning.
        import numpy as np

        with np.errstate(over="ignore"):
            return function.plain(*args)
    return _interruptible(function.compiled, *args)


def _interruptible(function: Callable[..., T], *args: Any) -> T:
    answers: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            answers.append(function(*args))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True, name="kernel")
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
    if errors:
        raise errors[0]
    return answers[0]


def _numba() -> Any:
    """Import numba, its cache in the user's cache folder unless told otherwise."""
    if "numba" not in sys.modules:
        import platformdirs

        folder = platformdirs.user_cache_dir("dokkaebi")
        os.environ.setdefault("NUMBA_CACHE_DIR", os.path.join(folder, "kernels"))
    import numba

    return numba
