"""The pages, and what moves them."""
