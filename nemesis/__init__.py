"""The faults, their schedule, and the proof that each took effect and was healed."""
