"""Counters as applications write them, right and wrong; one file per backend."""
