"""Floor 3. Writes the nation's inventory from the list of communes, one probe each.

    python3 ansible/inventories/nation/generate.py \\
        collector/registry/data/vn_communes.csv > hosts.yml

The list has the columns commune_code, commune_name, kind and province_name. A probe's name never
changes, and communes are merged and change their kind: so it is made of the official code alone.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path


def inventory(rows: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """The lines of the inventory, in the order of the list."""
    yield "# Made by generate.py from the list of communes; group_vars/ has what all of them share."
    yield "probes:"
    yield "  hosts:"
    for row in rows:
        code, name = row["commune_code"], row["commune_name"]
        # A JSON string is a YAML string too.
        office = json.dumps(f"Trụ sở UBND {name[0].lower()}{name[1:]}", ensure_ascii=False)
        group = json.dumps(row["province_name"], ensure_ascii=False)
        yield f"    commune-{code}-1:"
        yield f'      probe_site: {{commune_code: "{code}", office: {office}, group: {group}}}'


def main() -> int:
    """Run the command; returns the exit code."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python3 generate.py COMMUNES.csv > hosts.yml\n")
        return 2
    with Path(sys.argv[1]).open(encoding="utf-8-sig", newline="") as file:
        sys.stdout.writelines(f"{line}\n" for line in inventory(csv.DictReader(file)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
