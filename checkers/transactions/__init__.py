"""Transactional isolation: which levels a history of transactions contradicts, and by what.

Adya 1999; Cerone & Gotsman 2018; Kingsbury & Alvaro 2020. `append` judges transactions over lists,
`wr` those over registers; both make a graph of dependencies, and `cycles` finds what it shows.
"""

from .append import AppendChecker
from .wr import WrChecker

__all__ = ["AppendChecker", "WrChecker"]
