"""Objects whose illegal histories always contain one of a few small patterns: found in O(n log n).

Linearizability is hard in general, but not where every value is written once. The functions here
are pure: columns of numbers in, a `Decision` out. What they do not cover they leave to the search
(`legal` is None); they never guess.
"""
