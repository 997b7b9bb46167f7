"""What the centre knows of lines and probes: read model, line state, thresholds, assessment."""
