"""Searches among architectures as plain functions; none of them knows where scores come from."""
