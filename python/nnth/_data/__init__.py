"""Data sets, input files and their errors."""
