"""Relaxations: from architecture parameters alpha to mixing weights."""
