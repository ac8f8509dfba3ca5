"""Sliding windows, and what slides them: convolution and pooling of any dimension."""
