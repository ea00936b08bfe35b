"""What is kept and what is shown: the run store, the terminal, the report.

Nothing in here decides a verdict; a picture that cannot be drawn becomes a warning in its place.
"""
