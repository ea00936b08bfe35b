"""Strategies of the session workload, right and wrong; one file per backend."""
