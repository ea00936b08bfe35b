"""Dokkaebi: a concurrency and consistency test harness.

The public names, loaded on first use (PEP 562), and nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .harness.errors import Broken as Broken
    from .harness.errors import DokkaebiError as DokkaebiError
    from .harness.errors import Failed as Failed
    from .harness.errors import MalformedHistory as MalformedHistory
    from .harness.errors import Unavailable as Unavailable
    from .harness.errors import UsageError as UsageError
    from .harness.history import History as History
    from .harness.history import Op as Op
    from .harness.lease import Lease as Lease
    from .harness.spec import Spec as Spec
    from .harness.verdict import Anomaly as Anomaly
    from .harness.verdict import Verdict as Verdict

__version__ = "0.1.0"

_WHERE = {
    "Anomaly": "verdict",
    "Broken": "errors",
    "DokkaebiError": "errors",
    "Failed": "errors",
    "History": "history",
    "Lease": "lease",
    "MalformedHistory": "errors",
    "Op": "history",
    "Spec": "spec",
    "Unavailable": "errors",
    "UsageError": "errors",
    "Verdict": "verdict",
}

__all__ = ["__version__", *_WHERE]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'dokkaebi' has no attribute {name!r}")
    return getattr(import_module(f"dokkaebi.harness.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
