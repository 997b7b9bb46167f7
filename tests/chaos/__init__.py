"""Chaos: real processes, a seeded schedule of faults, and a reckoning of every result."""
