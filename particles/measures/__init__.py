"""Measures on parameters, the initial laws, their quadrature and samples, and the blocks that sums are taken over."""
