"""Stated errors of quadrature: the mean-field limit, the limiting tangent kernel, means under a law."""

CHECKS = {}
