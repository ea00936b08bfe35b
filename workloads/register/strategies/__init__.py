"""Strategies of the register workload, right and wrong; one file per backend."""
