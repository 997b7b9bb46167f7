"""Docstrings against the code: parameters, modules and files that they name are there."""

from __future__ import annotations

import ast
import gc
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = (
    "wire",
    "runtime",
    "probe",
    "server",
    "collector",
    "verify",
    "deploy",
    "bench",
    "tests",
    "ansible",
)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Two names may be anything's, as `server.host` is a variable's; three are a module's.
_DOTTED = re.compile(rf"(?<![\w/.])(?:{'|'.join(OURS)})(?:\.\w+){{2,}}\b(?!/)")
_PATH = re.compile(rf"(?<![\w/.])(?:{'|'.join(OURS)}|docs|systemd)/[\w./-]*\w")
# Files that a command writes.
_WRITTEN = {"probe/wheels", "probe/requirements.txt", "probe.tar.release"}


def documented(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Each node that has a docstring, and it."""
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and (text := ast.get_docstring(node)):
            yield node, text


def explained(docstring: str) -> list[str]:
    """The names of a docstring's section "Args:"."""
    section = re.search(r"(?m)^Args:\n((?: .*\n?|\n(?= ))+)", docstring)
    if section is None:
        return []
    heads = re.findall(r"(?m)^ {4}(\S[^:]*):", section[1])
    return [name.strip().lstrip("*") for head in heads for name in re.split(r",| and ", head)]


def parameters(node: ast.AST) -> set[str]:
    """A function's parameters; a class's fields and the parameters of its `__init__`."""
    if isinstance(node, ast.ClassDef):
        fields = {
            inner.target.id
            for inner in node.body
            if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name)
        }
        made = [inner for inner in node.body if getattr(inner, "name", "") == "__init__"]
        return fields.union(*(parameters(inner) for inner in made))
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return set()
    taken = node.args
    several = [one for one in (taken.vararg, taken.kwarg) if one is not None]
    return {one.arg for one in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs, *several)}


def without_a_parameter(tree: ast.Module) -> Iterator[str]:
    """The names that a section "Args:" explains and nobody can pass."""
    for node, text in documented(tree):
        for name in explained(text):
            if name not in parameters(node):
                yield f"{getattr(node, 'name', 'module')}: {name}"


@cache
def names_in(module: Path) -> frozenset[str]:
    """What a module defines or imports, its classes' members included."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name) | ast.alias(name=name):
                found.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                found.add(name)
    return frozenset(found)


def is_there(dotted: str) -> bool:
    """Whether a dotted name of ours is a package, a module, or a name in one."""
    place, parts = ROOT, dotted.split(".")
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if not parts:
        return True
    module = place / f"{parts[0]}.py"
    if module.is_file():
        return set(parts[1:]) <= names_in(module)
    package = place / "__init__.py"
    return package.is_file() and set(parts) <= names_in(package)


def pointing_nowhere(text: str) -> Iterator[str]:
    """The modules, names and files of ours that a docstring names and that are not there."""
    for name in (*_DOTTED.findall(text), *_PATH.findall(text)):
        there = (ROOT / name).exists() or is_there(name.replace("/", "."))
        if not there and name not in _WRITTEN:
            yield name


@cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    paths = [path for package in OURS for path in sorted((ROOT / package).rglob("*.py"))]
    # The collector would look through all trees again and again: three quarters of the time.
    gc.disable()
    try:
        return tuple(
            (path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
            for path in paths
        )
    finally:
        gc.freeze()
        gc.enable()


def test_every_explained_argument_is_a_parameter() -> None:
    assert [f"{path} {it}" for path, tree in modules() for it in without_a_parameter(tree)] == []


def test_what_a_docstring_points_to_is_there() -> None:
    assert [
        f"{path}: {it}"
        for path, tree in modules()
        for _, text in documented(tree)
        for it in pointing_nowhere(text)
    ] == []


def test_a_parameter_that_was_renamed_is_found() -> None:
    source = '''
def whole(first, *rest, last=None):
    """Something.

    Args:
        first, rest: two; like this:
            gone: is no parameter, it is the text's.
        last: one.

    Raises:
        OSError: never.
    """

class Pair:
    """Two.

    Args:
        left: a field.
        right: what is gone.
    """

    left: int
'''
    assert list(without_a_parameter(ast.parse(source))) == ["Pair: right"]
    renamed = source.replace("*rest", "*others")
    assert list(without_a_parameter(ast.parse(renamed))) == ["whole: rest", "Pair: right"]


def test_a_module_that_moved_is_found() -> None:
    text = "See `probe.measure.http.early_stop.gone`, docs/gone.md, probe.plan.budget, wire/topics."
    assert list(pointing_nowhere(text)) == ["probe.measure.http.early_stop.gone", "docs/gone.md"]
