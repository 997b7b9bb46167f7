"""Node-RED itself, by npm."""
