"""What the commands of ``python -m autodiff`` do; :mod:`autodiff.__main__` only reads the command line."""
