"""Requests that are tried again, right and wrong; one file per backend."""
