"""What the centre itself knows: probes, lines with their declared plans, ISPs, places, groups."""
