"""Slow independent implementations, written from the definitions.

They share no code with the package: NumPy, SciPy, mpmath, fractions and plain Python only. They may
be slow, but each is to be read beside the definition that it implements. `referee.py` compares the
commands with them, and `test_oracles.py` compares them with closed forms.
"""
