"""Benchmarks: `python -m bench.NAME`, a table for people, one JSON object with `--json`."""
