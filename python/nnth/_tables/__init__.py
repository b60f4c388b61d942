"""Tables of results, the descriptions of their figures, and statistics of samples."""
