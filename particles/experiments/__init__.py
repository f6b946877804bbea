"""Sweeps of runs and their folders, results of a sweep, the claims of a study."""
