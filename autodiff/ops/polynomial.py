"""Polynomials by their coefficients, highest power first, as ``numpy.poly1d`` has them."""
