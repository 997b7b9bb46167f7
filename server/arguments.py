"""Floor 1. Values on the command lines of a measurement server's programs."""

from __future__ import annotations

import argparse


def port(text: str) -> int:
    """A port; 0 lets the system choose."""
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError("a port is 0 to 65535")
    return value


def count(text: str) -> int:
    """A count, 0 or more."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("a count is not negative")
    return value


def positive(text: str) -> float:
    """A finite number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("more than 0")
    return value
