"""The broker of one tenant: Mosquitto's configuration and access list, rendered from settings."""
