"""What the documents tell people to type: each command is one that our own programs take."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector import cli as collector_cli
from collector.rollup.metrics import invalidating
from deploy.authority import cli as authority_cli
from deploy.fleet import cli as fleet_cli
from probe import arguments as probe_arguments
from server import cli as server_cli
from verify import cli as verify_cli
from wire.result import KINDS, Validity

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("[A-Z]*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/contract/*.md"),
        *ROOT.glob("deploy/*/*.md"),
    ]
)
PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "tramdo-collector": collector_cli._parser,
    "tramdo-probe": probe_arguments.parser,
    "tramdo-fleet": fleet_cli._parser,
    "tramdo-authority": authority_cli._parser,
    "tramdo-reflector": server_cli._parser,
    "tramdo-verify": verify_cli._parser,
}
# Addresses of the centre's pages, and paths that begin like one and are a machine's.
ADDRESSES = [
    re.compile(re.sub(r"\{[^}]+\}", "[^/]+", told))
    for module in (ROOT / "collector" / "web").glob("*.py")
    for told in re.findall(r'Route\(\s*f?"([^"]+)"', module.read_text(encoding="utf-8"))
]
_OF_THE_SYSTEM = ("/etc", "/var", "/opt", "/dev", "/srv", "/usr", "/run", "/sys", "/proc", "/boot")
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
        words = re.sub(r"^sudo (-u [a-z-]+ )?|^(\.\./)?\.venv/bin/", "", line.strip())
        words = re.split(r" [>|] ", words)[0]
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_files_and_addresses_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [page.parent / told for told in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)]
    rooms = "probe|collector|deploy|docs|tests|bench|wire|runtime|server|systemd|ansible"
    files = [ROOT / told for told in re.findall(rf"`((?:{rooms})/[\w./-]+)`", text)]
    assert [path for path in (*links, *files) if not path.exists()] == []
    asked = [told.partition("?")[0] for told in re.findall(r"`(/[\w./{}?=-]*)`", text)]
    ours = [told for told in asked if not told.startswith(_OF_THE_SYSTEM)]
    assert [told for told in ours if not any(one.fullmatch(told) for one in ADDRESSES)] == []


def test_the_contract_s_table_of_validity_is_what_the_centre_does() -> None:
    text = (ROOT / "docs" / "contract" / "README.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE))
    # `results_dropped` has no figure that enters a mean.
    kinds = [kind for kind in KINDS if kind != "results_dropped"]
    for flag in Validity:
        kept_out = [kind for kind in kinds if flag in invalidating(kind)]
        others = [kind for kind in kinds if kind not in kept_out]
        assert told[flag.value] in (
            "nothing" if not kept_out else ", ".join(kept_out),
            f"all but {', '.join(others)}" if others else "all",
        ), flag
    assert len(told) == len(Validity)


def test_the_pages_tell_commands() -> None:
    assert len(told()) > 60
