"""Normalisation, attention and their kin: layers of neural networks, each one operation."""
