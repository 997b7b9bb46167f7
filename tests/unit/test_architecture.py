"""ARCHITECTURE.md against the tree: the folders that it lists are the folders that there are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Whose folders are listed too, a line each.
WITH_FOLDERS = ("wire", "runtime", "probe", "server", "collector", "deploy", "tests")
# What tools make beside the sources (.gitignore).
MADE = {"out", "build", "__pycache__"}


def listed(text: str) -> set[str]:
    """The folders of the section "Rooms": one at the margin, those inside it indented by two."""
    block = text.partition("\n## Rooms\n")[2].partition("```\n")[2].partition("\n```")[0]
    found: list[str] = []
    parent = ""
    for inner, name in re.findall(r"(?m)^(  )?([a-z][a-z0-9_-]*)/(?= |$)", block):
        parent = parent if inner else name
        found.append(f"{parent}/{name}" if inner else name)
    assert len(found) == len(set(found)), "a folder is listed twice"
    return set(found)


def folders(root: Path) -> set[str]:
    """The folders of a tree, and those inside of WITH_FOLDERS, where there is a file in them."""
    places = [("", root), *((f"{name}/", root / name) for name in WITH_FOLDERS)]
    return {
        f"{prefix}{path.name}"
        for prefix, place in places
        if place.is_dir()
        for path in place.iterdir()
        if path.is_dir() and not _is_made(path) and _has_a_file(path)
    }


def _is_made(path: Path) -> bool:
    return path.name in MADE or path.name.startswith(".") or path.name.endswith(".egg-info")


def _has_a_file(folder: Path) -> bool:
    """Not only what Python left of files that are gone."""
    return any(
        path.is_file() and "__pycache__" not in path.relative_to(folder).parts
        for path in folder.rglob("*")
    )


def test_every_folder_is_listed_and_every_listed_folder_is_there() -> None:
    names = listed((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    there = folders(ROOT)
    assert there - names == set(), "not in ARCHITECTURE.md's rooms"
    assert names - there == set(), "in ARCHITECTURE.md's rooms and not in the tree"


def missing_files(text: str, paths: Iterable[str]) -> list[str]:
    """The Python files that a text names and that are not there: by path, or by name alone."""
    there = {f"/{path}" for path in paths}
    named = re.findall(r"`([\w./-]+\.py)`", text)
    return [name for name in named if not any(path.endswith(f"/{name}") for path in there)]


def test_every_file_that_is_named_is_there() -> None:
    paths = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("[a-z]*/**/*.py")]
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert missing_files(text, paths) == []
    assert missing_files("`session.py`, `a/b.py`", ["probe/my_session.py", "x/a/b.py"]) == [
        "session.py"
    ]


@pytest.mark.parametrize("name", ["attic", "deploy/attic", "probe/attic"])
def test_a_new_folder_is_seen(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "__pycache__").mkdir(parents=True)
    (tmp_path / name / "__pycache__" / "gone.pyc").touch()
    assert name not in folders(tmp_path)
    (tmp_path / name / "plan.py").touch()
    assert name in folders(tmp_path)


def test_the_list_is_read_by_its_indentation() -> None:
    text = (
        "\n## Rooms\n\n```\nprobe/      x; show/ too\n  plan/     y\n            more/\n"
        "docs/\n```\n"
    )
    assert listed(text) == {"probe", "probe/plan", "docs"}
