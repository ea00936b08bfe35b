"""Strategies of the bank workload, right and wrong; one file per backend."""
