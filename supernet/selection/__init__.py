"""How the final architecture is chosen from a trained supernet."""
