"""Spectra of tangent kernels, and the rates of descent along them."""
