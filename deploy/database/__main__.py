"""Floor 3. `python -m deploy.database SETTINGS.toml FOLDER`: writes a folder for each member.

Exit codes: 0 written; 1 cannot be written; 2 wrong settings, every problem on standard error.
"""

from __future__ import annotations

import sys

from deploy import rendering
from deploy.database.render import render
from deploy.database.settings import DatabaseSettings


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = rendering.parser_of(
        "python -m deploy.database",
        "Write the files of Patroni, etcd and pgBackRest, a folder for each member, "
        "and print the collector's connection string.",
        "deploy/database/example.toml",
        "the folders are written",
    )
    options = parser.parse_args(argv)
    if (read := rendering.read_settings(options.settings, DatabaseSettings)) is None:
        return 2
    code = rendering.write_files(options.folder, _files_of(read))
    if code == 0:
        print(read.conninfo)
    return code


def _files_of(read: DatabaseSettings) -> dict[str, str]:
    return {
        f"{member.name}/{name}": text
        for member in read.members
        for name, text in render(read, member).items()
    }


if __name__ == "__main__":
    sys.exit(main())
