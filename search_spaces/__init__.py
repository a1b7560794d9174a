"""Search spaces: architectures as values, and the networks built from them."""
