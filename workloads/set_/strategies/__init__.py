"""Strategies of the set workload, right and wrong; one file per backend."""
