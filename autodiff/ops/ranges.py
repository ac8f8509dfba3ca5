"""Ranges and windows whose ends or shape are differentiated: ``linspace`` and its kin."""
