"""Exports stored results to ClickHouse, for questions over all raw results."""
