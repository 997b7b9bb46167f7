"""What is measured: one folder a kind, its pure part beside its thin shells."""
