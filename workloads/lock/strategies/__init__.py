"""Strategies of the lock workload, right and wrong; one file per backend."""
