"""Floor 2. Builds of two commits to be measured side by side: this checkout and an older one.

The older commit's files and a virtual environment with what its own hash-locked requirements name
are made once in out/builds/. A build runs programs as processes of its own, with its own Python
and its own modules. It must not know what is measured.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

from bench.report import CannotMeasureError, note

ROOT = Path(__file__).parents[1]
BUILDS = ROOT / "out" / "builds"
_LOCKS = ("build", "dev")
_WITHIN_S = 3_600.0


class Build(NamedTuple):
    """A checkout and the Python that has what it needs."""

    name: str
    root: Path
    python: Path

    def environment(self) -> dict[str, str]:
        """The environment in which its modules are found before any other's."""
        return os.environ | {"PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}

    def argv(self, *arguments: str | Path) -> list[str]:
        """The command line of a program of it, without the script's folder on the path (-P)."""
        return [str(word) for word in (self.python, "-P", *arguments)]

    def run(self, *arguments: str | Path) -> str:
        """What one of its programs prints. CannotMeasureError when it fails."""
        ended = subprocess.run(
            self.argv(*arguments), cwd=self.root, env=self.environment(), capture_output=True,
            text=True, stdin=subprocess.DEVNULL, timeout=_WITHIN_S, check=False,
        )  # fmt: skip
        if ended.returncode != 0:
            raise CannotMeasureError(f"{self.name}: {arguments[0]}: {ended.stderr[-1_500:]}")
        return ended.stdout

    def step(self, verb: str, *arguments: str | Path | int) -> dict[str, Any]:
        """One step of `bench/build_driver.py` in this build: what it found."""
        driver = ROOT / "bench" / "build_driver.py"
        printed = self.run(driver, verb, *(str(word) for word in arguments))
        found: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return found


def this_build() -> Build:
    """The working tree that this program is of."""
    return Build("this", ROOT, Path(sys.executable))


def older_build(commit: str) -> Build:
    """The build of a commit; made where it is not there yet. CannotMeasureError: it cannot be."""
    full = _git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}").decode().strip()
    root = BUILDS / full[:12]
    ready = root / ".venv" / "ready-dev"
    if not ready.exists():
        note(f"making the build of {commit} in {root}")
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(_git("archive", full))) as archive:
            archive.extractall(root, filter="data")
        _install(root)
        ready.touch()
    return Build(commit, root, root / ".venv" / "bin" / "python")


def _install(root: Path) -> None:
    _checked([sys.executable, "-m", "venv", str(root / ".venv")], root)
    pip = [str(root / ".venv/bin/pip"), "--disable-pip-version-check", "--quiet", "install"]
    for lock in _LOCKS:
        isolation = [] if lock == "build" else ["--no-build-isolation"]
        file = str(root / "requirements" / f"{lock}.txt")
        _checked([*pip, "--require-hashes", *isolation, "-r", file], root)
    _checked([*pip, "--no-deps", "--no-build-isolation", "--editable", str(root)], root)


def _git(*arguments: str) -> bytes:
    return _checked(["git", *arguments], ROOT)


def _checked(argv: list[str], directory: Path) -> bytes:
    try:
        ended = subprocess.run(
            argv, cwd=directory, capture_output=True, stdin=subprocess.DEVNULL,
            timeout=_WITHIN_S, check=False,
        )  # fmt: skip
    except OSError as error:
        raise CannotMeasureError(f"{argv[0]}: {error}") from error
    if ended.returncode != 0:
        said = ended.stderr.decode(errors="replace").strip()[-500:]
        raise CannotMeasureError(f"{' '.join(argv)}: {said or 'failed'}")
    return ended.stdout
