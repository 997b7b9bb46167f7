"""Checks a bundle of evidence, without the rest of the product."""
