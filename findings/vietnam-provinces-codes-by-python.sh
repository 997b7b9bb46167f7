#!/usr/bin/env bash
# One would guess: the list of Viet Nam's 3,321 communes since July 2025 has one code a commune, so two releases of one
# package that both have 3,321 rows can be joined by code; and `pip install vietnam-provinces` gives today's list.
# What happens: between release 2025.10.1 and release 2026.9.0 of the package 114 communes have another code, and more
# than ten codes belong to another commune now (three neighbours in Cao Bằng swapped theirs in a ring), so that a join by
# code puts one office's figures at another's door without an error. Newer releases ask for Python 3.12, so on Python
# 3.11 (Debian 12, Raspberry Pi OS of 2023) pip installs 2025.10.1 and says nothing. Some of its names have two blanks.
# Seen with vietnam-provinces 2025.10.1 and 2026.9.0 (PyPI); source: data/flat-divisions.json in each wheel.
# For a builder: name the day of the list beside the codes, compare names when codes are joined, and pin the release
# that was compared; a count of rows that agrees proves nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
for release in 2025.10.1 2026.9.0; do
  "$folder/venv/bin/pip" --quiet --disable-pip-version-check download --no-deps --only-binary=:all: --python-version 3.12 \
    --dest "$folder/$release" "vietnam-provinces==$release" 2>/dev/null
done
cat > "$folder/compare.py" <<'PYTHON'
import json
import sys
import unicodedata
import zipfile
from pathlib import Path


def wheel(release):
    (found,) = Path(sys.argv[1], release).glob("*.whl")
    return zipfile.ZipFile(found)


def communes(release):
    rows = json.loads(wheel(release).read("vietnam_provinces/data/flat-divisions.json"))
    return {row["code"]: row["name"] for row in rows}


def letters(name):
    """A name without the places of its tone marks, which the releases write differently."""
    return sorted(unicodedata.normalize("NFD", name.replace(" ", "")).casefold())


def needs(release):
    archive = wheel(release)
    (name,) = (one for one in archive.namelist() if one.endswith("/METADATA"))
    head = archive.read(name).decode().splitlines()
    return next(line for line in head if line.startswith("Requires-Python"))


old, new = communes("2025.10.1"), communes("2026.9.0")
for release, rows in (("2025.10.1", old), ("2026.9.0", new)):
    print(f"vietnam-provinces {release}: {len(rows)} communes, {needs(release)}")
gone = sorted(old.keys() - new.keys())
other = [code for code in sorted(old.keys() & new.keys()) if letters(old[code]) != letters(new[code])]
print(f"{len(gone)} codes of the older release are in the newer one no more")
print(f"{len(other)} codes belong to a commune of another name, among them:")
for code in other[:6]:
    print(f"  {code:05d}: {old[code]} -> {new[code]}")
assert len(old) == len(new) == 3321, (len(old), len(new))
assert len(gone) == 114, len(gone)
assert len(other) >= 10, other
assert ">=3.12" in needs("2026.9.0"), needs("2026.9.0")
assert ">=3.12" not in needs("2025.10.1"), needs("2025.10.1")
PYTHON
"$folder/venv/bin/python" "$folder/compare.py" "$folder"
