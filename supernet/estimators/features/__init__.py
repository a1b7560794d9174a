"""Features: architectures as rows of numbers with names, for predictors to learn from."""
