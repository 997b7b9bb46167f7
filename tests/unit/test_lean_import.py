"""What a probe does not use is not loaded."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from collector import cli, copy_cli
from collector.__main__ import _COPY
from collector.store import backup_cli
from runtime import lean_import

_BACKUP = "import sys, collector.__main__ as c; print(c.main(), *sys.modules)"
_LOADED = "import sys, probe.daemon; print(*sys.modules)"


def test_the_daemon_loads_no_resolver_of_pahos() -> None:
    shown = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, check=True)
    loaded = shown.stdout.decode().split()
    assert "paho.mqtt.client" in loaded
    assert "dns.message" in loaded
    assert "dns.resolver" not in loaded


def test_a_backup_loads_no_pages_and_no_reports() -> None:
    """To load them takes longer than to copy a store."""
    shown = subprocess.run(
        [sys.executable, "-c", _BACKUP, "backup", "-c", "/no", "x"],
        capture_output=True,
        check=True,
        text=True,
    )
    code, *loaded = shown.stdout.split()
    assert code == "2"
    assert "/no" in shown.stderr
    assert "collector.store.backup" in loaded
    unused = {"collector.cli", "collector.web.app", "openpyxl", "requests", "numpy", "cryptography"}
    assert not unused.intersection(loaded)


def help_of(parser: argparse.ArgumentParser, name: str) -> str:
    """The help of one of a parser's commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return str(action.choices[name].format_help())
    raise AssertionError(f"{parser.prog} has no commands")


@pytest.mark.parametrize("name", backup_cli.COMMANDS)
def test_a_copy_has_the_options_that_the_whole_command_has(name: str) -> None:
    assert help_of(copy_cli._parser(), name) == help_of(cli._parser(), name)
    assert [name] in _COPY
    assert len(_COPY) == len(backup_cli.COMMANDS)


def test_a_module_is_missing_only_within() -> None:
    name = "this"
    assert name not in sys.modules
    with lean_import.without(name), pytest.raises(ImportError):
        __import__(name)
    assert name not in sys.modules
    with lean_import.without("json"):
        assert __import__("json").loads("1") == 1
