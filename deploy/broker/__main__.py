"""Floor 3. `python -m deploy.broker SETTINGS.toml FOLDER`: writes mosquitto.conf and acl.

Exit codes: 0 written; 1 cannot be written; 2 wrong settings, every problem on standard error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy.broker.configuration import BrokerSettings
from deploy.broker.render import render
from runtime import settings, settings_file
from runtime.settings import SettingsError

_EPILOG = """exit codes:
  0  written
  1  a file cannot be written
  2  wrong settings; every problem is on standard error
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.broker",
        description="Write Mosquitto's configuration and access control list from settings.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("settings", type=Path, help="settings as TOML (deploy/broker/example.toml)")
    parser.add_argument("folder", type=Path, help="where mosquitto.conf and acl are written")
    options = parser.parse_args(argv)
    try:
        content = settings_file.content(options.settings)
        rendered = render(settings.parse(content, BrokerSettings, str(options.settings)))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        for name, text in (
            ("mosquitto.conf", rendered.configuration),
            ("acl", rendered.access_list),
        ):
            (options.folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"{options.folder} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
