"""Many tests held against the verdicts they must get."""
