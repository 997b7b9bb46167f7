"""What the documents tell people to type: each command is one that our own programs take."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector import cli as collector_cli
from deploy.authority import cli as authority_cli
from deploy.fleet import cli as fleet_cli
from probe import arguments as probe_arguments
from server import cli as server_cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*/*.md")])
PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "tramdo-collector": collector_cli._parser,
    "tramdo-probe": probe_arguments.parser,
    "tramdo-fleet": fleet_cli._parser,
    "tramdo-authority": authority_cli._parser,
    "tramdo-reflector": server_cli._parser,
}
_FENCED = re.compile(r"^ *```[a-z]*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
# What a command does stands beside it, a wide gap or a `#` away; in `…` somebody puts something.
_REMARK = re.compile(r" {5,}.*| +#.*")


def commands(text: str) -> Iterator[str]:
    """The commands in a page's blocks of code, and those that stand in its sentences."""
    blocks = "\n".join(block.replace("\\\n", " ") for block in _FENCED.findall(text))
    lines = [part for line in blocks.splitlines() for part in _REMARK.sub("", line).split(";")]
    spoken = re.findall(r"`([^`]+)`", re.sub(r"\s*\n\s*", " ", _FENCED.sub("", text)))
    # A sentence may name a command without what it takes.
    spoken = [f"{words} --help" if words.count(" ") == 1 else words for words in spoken]
    for line in (*lines, *spoken):
        words = line.strip().removeprefix("sudo ").strip()
        if words.split(" ")[0] in PARSERS and " " in words:
            yield words


def told() -> list[tuple[str, str]]:
    return [
        (page.relative_to(ROOT).as_posix(), words)
        for page in PAGES
        for words in commands(page.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(("page", "words"), told())
def test_a_command_that_a_page_tells_is_one(
    page: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *arguments = shlex.split(words.replace("…", "x"))
    try:
        PARSERS[program]().parse_args(arguments)
    except SystemExit as end:
        if end.code:  # `--help` ends so too, with 0
            pytest.fail(f"{page}: {words}\n{capsys.readouterr().err}")


def test_the_pages_tell_commands() -> None:
    assert len(told()) > 60
