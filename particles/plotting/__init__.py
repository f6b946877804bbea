"""Figures and movies."""
