"""What is measured: one module a kind, its pure part beside its thin shell."""
