"""Availability: minutes up, down and unknown, outages, and path measurements after bad minutes."""
