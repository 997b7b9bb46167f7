"""Kind `dns`: how the line's own resolvers and a public one answer."""
