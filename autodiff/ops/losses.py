"""Losses, each in the form that stays accurate where its argument is extreme."""
