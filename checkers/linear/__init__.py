"""The search for an order of operations: how a history becomes numbers, and what runs over them.

`problem` holds the numbers, `layout` puts them in order, `steps` says what follows what, `kernels`
search, `search` drives them and says what they found.
"""
