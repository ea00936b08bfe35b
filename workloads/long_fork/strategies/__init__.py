"""Strategies of the long-fork workload, right and wrong; one file per backend."""
