"""Grafana over the PostgreSQL store: data source, dashboard."""
