"""Strategies of the append workload, right and wrong; one file per backend."""
