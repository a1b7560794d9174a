"""Predictors: models of the accuracy, fitted on trained architectures."""
