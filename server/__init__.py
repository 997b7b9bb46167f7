"""The measurement server's own part: the STAMP reflector."""
