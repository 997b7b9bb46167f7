"""Floor 1. Paths and sizes of the HTTP test, shared by probe and measurement server.

`ADDRESS_PATH` answers with the asker's public address and port as the server sees them:
`{"ip": "203.0.113.7", "port": 40312}`; the port is null behind a proxy that does not state it.

Files are random bytes, so that they cannot be compressed on the way. A connection requests growing
sizes: a slow line completes a small file, and a fast line soon has no round trips between files.
"""

from __future__ import annotations

EMPTY_PATH = "/tramdo/empty"
SINK_PATH = "/tramdo/sink"
ADDRESS_PATH = "/tramdo/address"
# 1, 16 and 256 MiB; the last one is repeated until the test ends.
SIZES_BYTES = (2**20, 2**24, 2**28)


def random_path(size_bytes: int) -> str:
    """The path of the random file of a size."""
    return f"/tramdo/random/{size_bytes}"
