"""The plan: from the configuration and what the lines have moved to each day's slots."""
