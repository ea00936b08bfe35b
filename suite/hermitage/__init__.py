"""The isolation matrix: which anomaly each level of each server allows, played statement by statement.

Fixed schedules of two or three transactions (`schedules.toml`), what each comes to (`matrix.toml`),
and an interpreter that plays them on real servers. `matrix` plays, `show` and `document` tell.

After Hermitage by Martin Kleppmann, https://github.com/ept/hermitage, licensed CC BY 4.0.
"""

from .cells import Cell, cells, kinds
from .running import Outcome, choose, matrix, play_on, run_cell
from .table import ATTRIBUTION, document, show

__all__ = [
    "matrix",
    "play_on",
    "run_cell",
    "cells",
    "kinds",
    "choose",
    "Cell",
    "Outcome",
    "show",
    "document",
    "ATTRIBUTION",
]
