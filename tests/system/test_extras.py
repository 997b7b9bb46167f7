"""Each of our commands where its extra is installed, and where another one is.

What is not installed is what the import system does not find: in a process of its own, the packages
that an extra does not bring are not there.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SCRIPTS: dict[str, str] = PROJECT["scripts"]
# Which extra a command's own packages come with; the reflector needs none.
EXTRA = {
    "tramdo-probe": "probe",
    "tramdo-collector": "collector",
    "tramdo-reflector": None,
    "tramdo-lease": None,
    "tramdo-authority": "authority",
    "tramdo-fleet": "fleet",
    "tramdo-verify": "verify",
}
EXAMPLES = [
    ["tramdo-probe", "example"],
    ["tramdo-collector", "example"],
    ["tramdo-collector", "example", "registry"],
    ["tramdo-collector", "example", "thresholds"],
    ["tramdo-fleet", "example"],
]
OURS = {"wire", "runtime", "probe", "server", "collector", "deploy", "verify"}
PROGRAM = """
import sys, importlib, importlib.abc
absent = set(sys.argv[1].split(","))
class NotInstalled(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NotInstalled())
module, _, function = sys.argv[2].partition(":")
sys.argv = sys.argv[3:]
sys.exit(getattr(importlib.import_module(module), function)())
"""


def named(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


@cache
def brought_by(extra: str | None) -> frozenset[str]:
    """The importable names that `pip install tramdo[extra]` brings."""
    wanted = [*PROJECT["dependencies"]]
    if extra is not None:
        wanted += PROJECT["optional-dependencies"][extra]
    found: set[str] = set()
    while wanted:
        requirement = Requirement(wanted.pop())
        name = named(requirement.name)
        extras = requirement.extras or {""}
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        if name in found:
            continue
        found.add(name)
        try:
            more = [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:
            continue  # not on this kind of machine
        wanted += [
            str(one).partition(";")[0]
            for one in more
            if one.marker is None or any(one.marker.evaluate({"extra": each}) for each in extras)
        ]
    return frozenset(
        module
        for module, names in packages_distributions().items()
        if found & {named(name) for name in names}
    )


def run(command: list[str], extra: str | None) -> subprocess.CompletedProcess[str]:
    program, *arguments = command
    absent = set(packages_distributions()) - brought_by(extra) - OURS
    argv = [sys.executable, "-c", PROGRAM, ",".join(sorted(absent)), SCRIPTS[program]]
    return subprocess.run(
        [*argv, program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_each_command_has_its_extra() -> None:
    assert set(EXTRA) == set(SCRIPTS)


@pytest.mark.parametrize("program", SCRIPTS)
def test_a_command_starts_where_its_extra_is_installed(program: str) -> None:
    done = run([program, "--help"], EXTRA[program])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: {program}")


@pytest.mark.parametrize("program", [name for name, extra in EXTRA.items() if extra is not None])
def test_a_command_without_its_extra_says_which_one_it_needs(program: str) -> None:
    done = run([program, "--help"], None)
    assert done.returncode == 69
    assert done.stdout == ""
    assert re.fullmatch(
        rf"{program}: the package `\w+` is not installed: "
        rf"pip install 'tramdo\[{EXTRA[program]}\]'\n",
        done.stderr,
    ), done.stderr


@pytest.mark.parametrize("command", EXAMPLES, ids=" ".join)
def test_an_example_is_printed_whole(command: list[str]) -> None:
    done = run(command, EXTRA[command[0]])
    assert done.returncode == 0, done.stderr
    assert done.stdout in {file.read_text(encoding="utf-8") for file in shipped()}


def shipped() -> list[Path]:
    """The files that pyproject.toml puts into the wheel."""
    data: dict[str, list[str]] = tomllib.loads(
        (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    )["tool"]["setuptools"]["package-data"]
    return [
        file
        for package, patterns in data.items()
        for pattern in patterns
        for file in (ROOT / package).glob(pattern)
        if file.suffix == ".toml"
    ]
