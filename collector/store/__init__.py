"""One Store protocol, and the stores behind it."""
