"""What judges a history: pure functions to a verdict, and the names of what can be wrong."""
