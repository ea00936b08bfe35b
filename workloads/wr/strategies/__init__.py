"""Strategies of the wr workload, right and wrong; one file per backend."""
