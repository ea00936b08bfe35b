"""Strategies of the constraint workload, right and wrong; one file per backend."""
