"""Checks, memory limits, threads, random streams and sampling in parts."""
