"""Patroni, etcd and pgBackRest for the centre's PostgreSQL: settings, templates, a command."""
