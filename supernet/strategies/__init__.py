"""A run in several processes: who starts them, what they are told, and how their module is kept the same."""
