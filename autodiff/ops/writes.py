"""NumPy's functions that write into their first argument: put, place, fill_diagonal and their kin."""
