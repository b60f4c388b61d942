"""The calls that the referee draws, and its rules: `../referee.py` is the program.

`calls` runs a command in this process; `rules` has the rules for every row of every command; the
other modules draw calls of some commands and compare their rows with `oracles`.
"""
