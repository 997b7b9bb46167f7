"""Kind `path`: the first hops of a line, and where a fault is."""
