"""Scoring many architectures, and judging the scores against known accuracies."""
