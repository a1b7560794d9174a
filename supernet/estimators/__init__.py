"""Estimators: everything that ranks architectures."""
