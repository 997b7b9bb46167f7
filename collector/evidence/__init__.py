"""Bundles of evidence: results, signatures, and the report that was made of them."""
