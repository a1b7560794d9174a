"""Costs of architectures as differentiable expectations under the mixing weights."""
