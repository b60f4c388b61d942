"""Linear regions of ReLU networks: exact counts, the regions themselves, bounds, expectations.

The modules are imported one by one, since a count needs a few of them.
"""
