"""Strategies of the unique workload, right and wrong; one file per backend."""
