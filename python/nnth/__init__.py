"""The theory of neural networks as functions: each returns a Table with its error stated."""
