"""Papers: what an office signs and reads out. One set of figures, printed in every format."""
