"""The registry: probes, lines with their declared plans, ISPs, communes, groups."""
