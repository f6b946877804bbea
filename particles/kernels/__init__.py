"""Compiled loops on arrays: the only files that know about Numba."""
