"""What `nnth sweep` is made of: values, points, the files that keep them, and how they are run."""
