"""Slow independent implementations, written from the definitions.

They share no code with the package: NumPy, SciPy, mpmath, fractions and plain Python only. What they
cost does not matter; that each can be read beside the definition that it implements does. `referee.py`
compares the commands with them, and `test_oracles.py` compares them with what is known in closed form.
"""
