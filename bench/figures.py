"""Floor 3. Writes docs/figures.md from what the last run of each benchmark left in out/bench/.

    make bench figures

Each benchmark's part is made anew by its run: no figure is edited by hand. One that was not run
keeps the part that its last run has made, with its date and commit. What a benchmark means is the
first paragraph of its module; why a target is missed stands in bench/remarks.toml, by hand, and a
missed target without a remark is reported on standard error. It must not know what is measured.
"""

from __future__ import annotations

import ast
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.report import Cell, cell_text, meaning, note

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "figures.md"
RUNS = HERE.parent / "out" / "bench"
REMARKS = HERE / "remarks.toml"
_MARK = "    sys.exit(run("
_MACHINE = ("model", "cores", "memory_bytes", "kernel", "python")
_HEAD = """# Figures

The last run of every benchmark: date, machine, command, figures, peers; one with `--quick` did less
of everything. Written by `make figures` from what `make bench` left in `out/bench/`; the README
quotes only from here. Peers run in the same run, interleaved with ours. A load average well above
what the benchmark itself makes says that others used the machine meanwhile, and such figures
mislead.
"""


class Found(NamedTuple):
    """One benchmark: its name, what its module says it is, its last run if there is one."""

    name: str
    meaning: str
    run: Mapping[str, Any] | None


def benchmarks(directory: Path = HERE, runs: Path = RUNS) -> Iterator[Found]:
    """Every module that is a benchmark, as `make bench` finds them."""
    for path in sorted(directory.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        if f"\n{_MARK}" in source:
            yield Found(
                path.stem,
                meaning(ast.get_docstring(ast.parse(source))),
                _run(runs / f"{path.stem}.json"),
            )


def page(found: Sequence[Found], remarks: Mapping[str, str], before: str = "") -> str:
    """The whole page; `before` is the page as it is."""
    parts = [_HEAD]
    for one in found:
        if one.run is None and (kept := _section_of(before, one.name)) is not None:
            parts.append(kept)
        else:
            parts += _section(one, remarks.get(one.name))
    return "\n".join(parts)


def unexplained(found: Sequence[Found], remarks: Mapping[str, str]) -> list[str]:
    """The benchmarks that miss a target without a remark."""
    return [
        one.name
        for one in found
        if one.run is not None
        and one.name not in remarks
        and not all(target["met"] for target in one.run["targets"])
    ]


def main() -> int:
    """Write the page; 1 where a miss has no remark."""
    found = list(benchmarks())
    remarks: dict[str, str] = tomllib.loads(REMARKS.read_text(encoding="utf-8"))
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    PAGE.write_text(page(found, remarks, before), encoding="utf-8")
    for one in found:
        if one.run is None:
            note(f"bench.{one.name} has left no figures in {RUNS}: its part stays as it was")
    missed = unexplained(found, remarks)
    for name in missed:
        note(f"bench.{name} misses a target, and bench/remarks.toml does not say why")
    return 1 if missed else 0


def _run(path: Path) -> Mapping[str, Any] | None:
    """What a run has left; None where it could not measure."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    loaded: Mapping[str, Any] | None = json.loads(text) if text.strip() else None
    return loaded


def _section(found: Found, remark: str | None) -> Iterator[str]:
    yield f"## {found.name}\n"
    yield f"{found.meaning}\n"
    if found.run is None:
        yield "No figures: it has not been run, or could not measure.\n"
        return
    here = found.run["machine"]
    commit = here.get("commit") or "unknown"
    yield f"- `{here['command']}`, {here['at']}, commit {commit}"
    yield f"- peers: {here['peers'] or 'none'}"
    yield f"- {', '.join(f'{key} {cell_text(here[key])}' for key in _MACHINE)}"
    yield f"- load average {here['load_1min']} before, {here['load_1min_after']} after\n"
    targets = found.run["targets"]
    if targets:
        yield from _table([_target(target) for target in targets])
    if remark is not None:
        yield f"{remark.strip()}\n"
    yield from _table(found.run["rows"])


def _section_of(text: str, name: str) -> str | None:
    """A benchmark's part of a page, None where it has none."""
    _, found, rest = text.partition(f"\n## {name}\n")
    part, _, _ = rest.partition("\n## ")
    return f"## {name}\n{part}" if found else None


def _target(target: Mapping[str, Any]) -> dict[str, Cell]:
    return {
        "target": target["name"],
        "value": target["value"],
        "limit": target["limit"],
        "": "met" if target["met"] else "**missed**",
    }


def _table(rows: Sequence[Mapping[str, Cell]]) -> Iterator[str]:
    """Markdown; a column of numbers stands right."""
    if not rows:
        return
    columns = list(rows[0])
    texts = [column for column in columns if any(isinstance(row[column], str) for row in rows)]
    yield _line(columns)
    yield _line("---" if column in texts else "---:" for column in columns)
    for row in rows:
        yield _line(cell_text(row[column]) for column in columns)
    yield ""


def _line(cells: Iterator[str] | Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


if __name__ == "__main__":
    sys.exit(main())
