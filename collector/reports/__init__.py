"""Reports that an office signs or reads out: one set of figures, rendered in every format."""
