"""What `--help` of each command prints: what it does, and nothing of how our code is arranged."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import acknowledger, report
from collector import cli as collector_cli
from collector import copy_cli
from deploy.authority import cli as authority_cli
from deploy.fleet import cli as fleet_cli
from probe import arguments as probe_arguments
from server import cli as server_cli
from server import lease_cli
from verify import cli as verify_cli

ROOT = Path(__file__).parents[2]
FOLDERS = ("probe", "server", "collector", "verify", "deploy", "bench", "tests")
INSTALLED: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "probe/arguments.py": probe_arguments.parser,
    "collector/cli.py": collector_cli._parser,
    "collector/copy_cli.py": copy_cli._parser,
    "server/cli.py": server_cli._parser,
    "server/lease_cli.py": lease_cli._parser,
    "deploy/authority/cli.py": authority_cli._parser,
    "deploy/fleet/cli.py": fleet_cli._parser,
    "verify/cli.py": verify_cli._parser,
}
# Their `main` takes the arguments.
IN_A_CHECKOUT = (
    "deploy/broker/__main__.py",
    "deploy/database/__main__.py",
    "deploy/demo/__main__.py",
    "deploy/demo/seed.py",
    "deploy/handbook/__main__.py",
    "deploy/supply_chain.py",
    "deploy/wheelhouse.py",
    "bench/structure.py",
    "tests/chaos/__main__.py",
    "tests/deaths.py",
    "tests/fuzz/__main__.py",
    "tests/pi/__main__.py",
)
# bench/report.py is every benchmark's command line, deploy/rendering.py the one of commands that
# write another program's files; the example runs where none of our code is;
# the emulator is started by the lab alone.
OTHERS = {
    "bench/report.py",
    "deploy/rendering.py",
    "deploy/subscribers/subscribe.py",
    "tests/lab/emulator.py",
}
BENCHMARKS = [
    path.stem
    for path in sorted((ROOT / "bench").glob("*.py"))
    if "\n    sys.exit(run(" in path.read_text(encoding="utf-8")
]
_OF_THE_CODE = re.compile(r"\bFloor [123]\b|__doc__|\bArgs:|\bRaises:")


def parsers(whole: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A command's parser, and those of its subcommands, each once."""
    yield whole
    for action in whole._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in {id(one): one for one in action.choices.values()}.values():
                yield from parsers(inner)


def assert_is_for_users(parser: argparse.ArgumentParser) -> None:
    assert parser.description, f"{parser.prog} does not say what it does"
    assert not _OF_THE_CODE.search(parser.format_help()), parser.prog


def help_of(path: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a module of a checkout prints when it is asked for help."""
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    with pytest.raises(SystemExit) as ended:
        module.main(arguments)
    assert ended.value.code == 0
    return capsys.readouterr().out


def with_a_command_line() -> set[str]:
    """The modules that make a parser of arguments, but for our unit tests."""
    return {
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if path.parent != ROOT / "tests" / "unit" and _makes_a_parser(path)
    }


def _makes_a_parser(path: Path) -> bool:
    source = path.read_text(encoding="utf-8")
    return any(name in source for name in ("argparse", "parser_of")) and any(
        isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(("ArgumentParser", "rendering.parser_of"))
        for node in ast.walk(ast.parse(source))
    )


def test_every_command_line_is_looked_at() -> None:
    assert with_a_command_line() == INSTALLED.keys() | set(IN_A_CHECKOUT) | OTHERS


@pytest.mark.parametrize("path", INSTALLED)
def test_an_installed_command_and_each_subcommand_say_what_they_do(path: str) -> None:
    found = list(parsers(INSTALLED[path]()))
    for parser in found:
        assert_is_for_users(parser)
    assert len(found) > 5 or path.startswith(("collector/copy", "server/", "verify/"))


@pytest.mark.parametrize("path", IN_A_CHECKOUT)
def test_a_command_of_a_checkout_says_what_it_does(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = help_of(path, ["--help"], capsys)
    # Usage; then, in a paragraph of its own, what it does.
    assert re.match(r"[A-Z][^\n]+[.):]", printed.split("\n\n")[1])
    assert not _OF_THE_CODE.search(printed)


@pytest.mark.parametrize("name", ["wiring", "card"])
def test_a_subcommand_of_a_checkout_says_what_it_does(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = help_of("deploy/handbook/__main__.py", [name, "--help"], capsys)
    assert re.match(r"[A-Z][^\n]+[.]", printed.split("\n\n")[1])


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_says_what_it_measures(name: str) -> None:
    source = (ROOT / "bench" / f"{name}.py").read_text(encoding="utf-8")
    text = report.meaning(ast.get_docstring(ast.parse(source)))
    assert text.endswith((".", ":"))
    assert not _OF_THE_CODE.search(text)


def test_a_benchmark_prints_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(_options: report.Options) -> report.Outcome:
        raise AssertionError("only help was asked for")

    monkeypatch.setattr(sys, "argv", ["planted", "--help"])
    with pytest.raises(SystemExit):
        report.run("planted", measure)
    assert "What `--help` of each command prints" in capsys.readouterr().out


def test_what_is_of_the_code_is_found() -> None:
    planted = argparse.ArgumentParser(description=acknowledger.__doc__)
    with pytest.raises(AssertionError):
        assert_is_for_users(planted)
    with pytest.raises(AssertionError):
        assert_is_for_users(argparse.ArgumentParser())
