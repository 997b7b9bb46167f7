"""Exports stored results in formats of other systems."""
