"""Seeded fuzzing of everything that takes bytes from elsewhere: `python -m tests.fuzz`."""
