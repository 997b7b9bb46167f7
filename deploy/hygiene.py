"""Floor 3. `make hygiene`: what no file in the repository may hold, whatever its language.

Looks at every file that git tracks, as it is in the working tree. Exit codes: 0 clean, or no
repository (sources from an archive); 1 something was found, each on a line as FILE:LINE: MESSAGE.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
# As the outside programs wrote them, or filled in by Ansible.
_AS_WRITTEN = re.compile(r"tests/golden/|.*\.(j2|dictionary)$")
_LOCK = re.compile(r"requirements/.*\.txt$")
_MERGE_MARKER = re.compile(r"(<{7}|>{7}|\|{7})( |$)")
# A lock names versions and hashes; where they are fetched from is the installing machine's matter.
_INDEX = re.compile(r"https?://|--(extra-)?index-url|--find-links|--trusted-host")
_MOST_BYTES = 1_000_000


def main() -> int:
    """Run the command; returns the exit code."""
    if not (ROOT / ".git").exists():
        print("hygiene: no git repository here, so there is nothing to keep clean")
        return 0
    found = [message for path in _tracked(ROOT) for message in problems(ROOT, path)]
    print("\n".join(found) or "hygiene: clean", file=sys.stderr if found else sys.stdout)
    return 1 if found else 0


def problems(root: Path, path: str) -> Iterator[str]:
    """What is wrong with one file, relative to `root`."""
    content = (root / path).read_bytes()
    if len(content) > _MOST_BYTES:
        yield f"{path}:1: {len(content)} bytes; more than {_MOST_BYTES} do not belong into git"
    if content.startswith(b"#!") and not path.endswith(".j2"):
        if not os.access(root / path, os.X_OK):
            yield f"{path}:1: begins with #! and is not executable (chmod +x)"
    elif os.access(root / path, os.X_OK):
        yield f"{path}:1: is executable and does not begin with #!"
    if b"\0" not in content:
        yield from _text_problems(path, content.decode("utf-8", errors="replace"))


def _text_problems(path: str, text: str) -> Iterator[str]:
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        for message in _line_problems(path, line):
            yield f"{path}:{number}: {message}"
    if text and lines[-1] and not _AS_WRITTEN.match(path):
        yield f"{path}:{len(lines)}: no newline at the end"


def _line_problems(path: str, line: str) -> Iterator[str]:
    if _MERGE_MARKER.match(line):
        yield "a merge marker"
    if _LOCK.match(path) and _INDEX.search(line):
        yield "a lock file names no package index"
    if not _AS_WRITTEN.match(path) and line != line.rstrip():
        yield "white space at the end of the line"


def _tracked(root: Path) -> list[str]:
    command = ["git", "-C", str(root), "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # A file that was deleted and not committed yet is still listed; a link's target is looked at.
    names = (name for name in listed.split("\0") if name)
    return [name for name in names if (root / name).is_file() and not (root / name).is_symlink()]


if __name__ == "__main__":
    sys.exit(main())
