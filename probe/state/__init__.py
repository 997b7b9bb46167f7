"""State that outlives a restart: JSON files in the state directory, replaced atomically."""
