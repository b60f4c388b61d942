"""Kernel matrices on disk, a tile at a time, and as blocks of a dask array."""
