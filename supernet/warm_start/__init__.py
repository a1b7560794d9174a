"""Warm starts: what untrained networks say about the operations of a space, before its search begins."""
