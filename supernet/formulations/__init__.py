"""Formulations: the gradients with which architecture parameters and weights are updated."""
