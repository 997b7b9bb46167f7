"""The Store protocol, and its implementations on SQLite and PostgreSQL."""
