"""Availability: minutes up, down and unknown, outages, and a look at the path of a bad one."""
