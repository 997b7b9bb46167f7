"""Floor 2. How the code is built, in numbers: `python -m bench.structure [REVISION ...] [--json]`.

Counts what git has of a revision, by package and in all: modules, lines, functions, the longest
chain of imports, modules that one other module imports, fan-out, class names that occur more than
once, and test lines per line of source. Without a revision it counts the working tree. It runs on
any checkout that has the history; nothing of the code that is counted is run.

Lines are those of the file, blank ones and comments included; a function's from its `def` to its
last line, decorators left out, and a nested function counts for itself too. A package's own file
(`__init__.py`) is no module here. Imports inside of functions count, those for type checkers alone
(`if TYPE_CHECKING`) do not. The chain goes over all packages; a package's is the longest that
begins in it.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

PACKAGES = ("wire", "runtime", "probe", "server", "collector", "deploy")
ALL = "all"
_ROOT = Path(__file__).parents[1]


class Module(NamedTuple):
    """What is counted of one module."""

    name: str
    lines: int
    functions: list[int]
    classes: list[str]
    imports: set[str]


class Structure(NamedTuple):
    """The figures of one package, or of all."""

    modules: int
    source_lines: int
    module_lines_median: float
    module_lines_max: int
    functions: int
    function_lines_median: float
    function_lines_max: int
    longest_import_chain: int
    one_importer_modules: int
    fan_out_median: float
    fan_out_max: int
    repeated_class_names: int
    # Of all of tests/ to all packages; tests belong to no one of them.
    test_lines_per_source_line: float | None


Graph = Mapping[str, frozenset[str]]


def sources(revision: str | None) -> list[tuple[str, str]]:
    """Path and text of each Python file that git tracks, of a revision or the working tree.

    Raises:
        subprocess.CalledProcessError: there is no such revision.
    """
    if revision is None:
        paths = _git("ls-files", "*.py").decode().splitlines()
        there = [(path, _ROOT / path) for path in paths]
        return [(path, file.read_text(encoding="utf-8")) for path, file in there if file.exists()]
    with tarfile.open(fileobj=io.BytesIO(_git("archive", revision))) as archive:
        members = [member for member in archive.getmembers() if member.name.endswith(".py")]
        files = [(member.name, archive.extractfile(member)) for member in members]
        return [(name, file.read().decode()) for name, file in files if file is not None]


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=_ROOT, check=True, capture_output=True).stdout


def parsed(path: str, text: str) -> Module:
    """One module, from its path and text."""
    tree = ast.parse(text)
    functions = [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    classes = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    name = path.removesuffix(".py").replace("/", ".")
    return Module(name, len(text.splitlines()), functions, classes, set(_imported(tree)))


def _imported(tree: ast.Module) -> Iterator[str]:
    """Every name that may be a module's: of `from a import b` both `a` and `a.b`."""
    for_types = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def measured(files: Sequence[tuple[str, str]]) -> dict[str, Structure]:
    """The figures by package, and under "all" those of all packages together."""
    modules = [
        parsed(path, text)
        for path, text in files
        if path.split("/")[0] in PACKAGES and not path.endswith("/__init__.py")
    ]
    names = {module.name for module in modules}
    graph = {module.name: frozenset(module.imports & names - {module.name}) for module in modules}
    of_tests = sum(len(text.splitlines()) for path, text in files if path.startswith("tests/"))
    found = {}
    for package in (*PACKAGES, ALL):
        own = [module for module in modules if package in {module.name.split(".")[0], ALL}]
        if own:
            found[package] = _structure(own, graph, of_tests if package == ALL else None)
    return found


def _structure(modules: Sequence[Module], graph: Graph, test_lines: int | None) -> Structure:
    importers = Counter(name for imports in graph.values() for name in imports)
    lengths = [length for module in modules for length in module.functions]
    fan_out = [len(graph[module.name]) for module in modules]
    classes = Counter(name for module in modules for name in module.classes)
    depths = chain_lengths(graph)
    source_lines = sum(module.lines for module in modules)
    return Structure(
        modules=len(modules),
        source_lines=source_lines,
        module_lines_median=median(module.lines for module in modules),
        module_lines_max=max(module.lines for module in modules),
        functions=len(lengths),
        function_lines_median=median(lengths or [0]),
        function_lines_max=max(lengths, default=0),
        longest_import_chain=max(depths[module.name] for module in modules),
        one_importer_modules=sum(importers[module.name] == 1 for module in modules),
        fan_out_median=median(fan_out),
        fan_out_max=max(fan_out),
        repeated_class_names=sum(times > 1 for times in classes.values()),
        test_lines_per_source_line=None if test_lines is None else test_lines / source_lines,
    )


def chain_lengths(graph: Graph) -> dict[str, int]:
    """Of how many modules the longest chain of imports consists that begins with each.

    Raises:
        ValueError: the imports go round in a circle.
    """
    lengths: dict[str, int] = {}
    under_way: set[str] = set()

    def length_from(name: str) -> int:
        if name in under_way:
            raise ValueError(f"{name} imports itself by way of others")
        if name not in lengths:
            under_way.add(name)
            lengths[name] = 1 + max((length_from(other) for other in graph[name]), default=0)
            under_way.remove(name)
        return lengths[name]

    for name in graph:
        length_from(name)
    return lengths


def table(revisions: Sequence[Mapping[str, Structure]]) -> str:
    """A Markdown table: a row for each figure, a column for each package; of several revisions
    the figures stand in one cell, with an arrow between them."""
    heads = [package for package in (*PACKAGES, ALL) if any(package in one for one in revisions)]
    rows = [["", *heads], ["---"] * (len(heads) + 1)]
    for field in Structure._fields:
        cells = [
            " → ".join(_cell(getattr(one.get(package), field, None)) for one in revisions)
            for package in heads
        ]
        rows.append(
            [field.replace("_", " "), *(cell if cell.strip("– →") else "" for cell in cells)]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(value: float | None) -> str:
    match value:
        case None:
            return "–"
        case float() if value != int(value):
            return f"{value:.2f}".rstrip("0")
        case _:
            return f"{value:,.0f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.structure",
        description="Print how the code of each package is built, in numbers.",
    )
    parser.add_argument(
        "revisions",
        nargs="*",
        metavar="REVISION",
        help="a commit, tag or branch; several are compared (default: the working tree)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a revision")
    options = parser.parse_args(argv)
    wanted: list[str | None] = options.revisions or [None]
    try:
        found = [measured(sources(revision)) for revision in wanted]
    except subprocess.CalledProcessError as error:
        print(error.stderr.decode().strip(), file=sys.stderr)
        return 2
    if options.json:
        for one in found:
            print(json.dumps({name: structure._asdict() for name, structure in one.items()}))
    else:
        print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
