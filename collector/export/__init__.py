"""What is stored, in the shape of other programs."""
