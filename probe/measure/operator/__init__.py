"""Who carries a line: its public address, and what translates it."""
