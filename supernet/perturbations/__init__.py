"""Perturbations: the weights are trained at a mixture near the current one, so that the loss is flat around it."""
