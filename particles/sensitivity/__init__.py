"""The derivative of a run: what every particle of the start does to what is measured later (3.4)."""
