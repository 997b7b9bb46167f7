"""Commands to probes: how they are made, sent, tracked, and given on the command line."""
