"""Shells that every long-running program of ours shares: settings, MQTT, systemd."""
