"""Strategies of the queue workload, right and wrong; one file per backend."""
