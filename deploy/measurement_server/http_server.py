"""Floor 2. The HTTP test's server: its nginx configuration, and the files that it serves.

Ansible renders the same template; a setting is stated with its reason there. It must not know how
nginx is run.
"""

from __future__ import annotations

import os
from pathlib import Path

import jinja2
from msgspec import Struct, structs

from wire.http import ADDRESS_PATH, EMPTY_PATH, SINK_PATH, SIZES_BYTES, random_path
from wire.lease import AUTHORIZE_PATH

TEMPLATE = Path(__file__).with_name("nginx.conf.j2")
_BLOCK_BYTES = 2**20


class HttpServer(Struct, frozen=True, kw_only=True):
    """How nginx is to serve. `root` holds the files; `runtime_directory` is nginx's to write in.

    `trusted_proxies` are the addresses or prefixes of proxies in front of it whose
    `X-Forwarded-For` states the client; from everybody else that header is ignored.
    """

    listen: list[str]
    root: str
    runtime_directory: str
    error_log: str = "stderr"
    user: str = "www-data"
    workers: int | str = "auto"
    connections_per_address: int = 64
    connections: int = 256
    transfers_per_minute: int = 240
    pings_per_second: int = 50
    # What a full-length upload may last at most, with its connections' set-up.
    sink_seconds: int = 60
    trusted_proxies: list[str] = []
    # The HTTP port of the lease service on this host; 0 where there is none.
    lease_http_port: int = 0


def render(template: str, server: HttpServer) -> str:
    """The configuration, from the text of nginx.conf.j2. Pure.

    Raises:
        jinja2.UndefinedError: the template asks for a setting that there is not.
    """
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(template).render(
        structs.asdict(server),
        empty_path=EMPTY_PATH,
        sink_path=SINK_PATH,
        address_path=ADDRESS_PATH,
        sink_bytes=max(SIZES_BYTES),
        lease_path=AUTHORIZE_PATH,
    )


def write_files(root: Path) -> None:
    """Make the empty file and the random files below `root`; what has its size already is left.

    They take 273 MiB.
    """
    for path, size_bytes in [
        (EMPTY_PATH, 0),
        *((random_path(size_bytes), size_bytes) for size_bytes in SIZES_BYTES),
    ]:
        file = root / path.removeprefix("/")
        if file.exists() and file.stat().st_size == size_bytes:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as written:
            for _ in range(size_bytes // _BLOCK_BYTES):
                written.write(os.urandom(_BLOCK_BYTES))
