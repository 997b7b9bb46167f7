"""What the public gets of raw results: a signed package of files for each closed month."""
