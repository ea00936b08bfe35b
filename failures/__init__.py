"""The tools around a failure: does it come back, and what is the least that shows it?"""
