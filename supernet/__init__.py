"""Differentiable neural architecture search on one supernet."""
