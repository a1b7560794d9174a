"""Shrinkage: which architectures of a space, or which of its operations, a search need not look at."""
