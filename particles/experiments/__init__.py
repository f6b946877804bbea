"""Configurations, sweeps of runs and their folders, the claims of a study."""
