"""Floor 1. What probe and measurement server agree on for the HTTP test: paths and sizes.

Files are of random bytes, so that nothing on the way can compress them. A connection asks for
them in growing sizes: a slow line completes a small one, a fast one soon stops paying a round trip
between files.
"""

from __future__ import annotations

EMPTY_PATH = "/tramdo/empty"
SINK_PATH = "/tramdo/sink"
# 1, 16 and 256 MiB; the last one again for as long as the test lasts.
SIZES_BYTES = (2**20, 2**24, 2**28)


def random_path(size_bytes: int) -> str:
    """Where the file of that size is."""
    return f"/tramdo/random/{size_bytes}"
