"""What is asked and what would be wrong: one folder per workload.

A workload imports `harness` and `checkers`, never a backend.
"""
