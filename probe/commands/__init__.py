"""Commands from the centre: what is accepted, who executes it, what outlives a restart."""
