"""When a text stands in quotes in a sentence: where it could be taken for a number or for nothing."""

from __future__ import annotations

import re
from typing import Final

_MISTAKABLE: Final = re.compile(
    r"|nil|null|true|false|[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII
)


def quoted(text: str) -> str:
    """The text as it is, or in quotes: `"1"` is not 1, and `"nil"` not nil."""
    return f'"{text}"' if _MISTAKABLE.fullmatch(text) else text
