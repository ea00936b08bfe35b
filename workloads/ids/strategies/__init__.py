"""Strategies of the ids workload, right and wrong; one file per backend."""
