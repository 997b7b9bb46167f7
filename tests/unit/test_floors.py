"""The architecture as a test: floors, rooms, and which file may import which library."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("wire", "runtime", "probe", "server", "collector")
# What a room may import besides itself. `wire` is pure and knows nobody.
ROOMS = {
    "wire": set[str](),
    "runtime": {"wire"},
    "probe": {"wire", "runtime"},
    "server": {"wire", "runtime"},
    "collector": {"wire", "runtime"},
}
# Floor 1 takes bytes, times and numbers: nothing that reads the world or waits for it.
IMPURE = {
    "asyncio", "ctypes", "fcntl", "http", "logging", "multiprocessing", "os", "pathlib", "queue",
    "random", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl",
    "subprocess", "sys", "tempfile", "threading", "time", "urllib", "psycopg",
    "argon2", "bokeh", "gpiozero", "iperf3", "itsdangerous", "jinja2", "lgpio", "paho", "psutil",
    "socks", "requests", "schedule", "smtplib", "starlette", "uvicorn", "weasyprint", "xlsxwriter",
}  # fmt: skip
# A lock keeps a library from itself; nothing is waited for but that.
PURE_ALL_THE_SAME = {"wire.decoding": {"threading"}}
# One file wraps one outside thing.
ONE_FILE_EACH = {
    "paho": {"runtime/mqtt.py"},
    "socks": {"runtime/mqtt.py"},
    "gpiozero": {"probe/show/leds.py"},
    "lgpio": {"probe/show/leds.py"},
    "schedule": {"probe/schedule/timetable.py"},
    "iperf3": {"probe/measure/throughput/iperf3_child.py"},
    "requests": {"probe/measure/operator.py", "collector/alerts/webhook.py"},
    "smtplib": {"collector/alerts/mail.py"},
    "psycopg": {"collector/store/postgresql.py"},
    "sqlite3": {
        "probe/deliver/outbox_file.py",
        "collector/store/sqlite.py",
        "collector/people/register.py",
        "collector/alerts/book.py",
    },
    "argon2": {"collector/people/passwords.py"},
    "itsdangerous": {"collector/people/sessions.py"},
    "dns": {"probe/measure/dns/message.py"},
    "weasyprint": {"collector/reports/pdf.py"},
    "xlsxwriter": {"collector/reports/workbook.py"},
}


class Module(NamedTuple):
    """A module of ours: its dotted name, floor, and the modules that it imports."""

    path: Path
    name: str
    floor: int | None
    imports: list[str]


def _modules() -> Iterator[Module]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            stated = re.match(r"Floor ([123])\.", ast.get_docstring(tree) or "")
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield Module(path, name, int(stated[1]) if stated else None, list(_imports(tree)))


def _imports(tree: ast.Module) -> Iterator[str]:
    typing_only = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only: they show the room"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


MODULES = list(_modules())
BY_NAME = {module.name: module for module in MODULES}
OURS = [module for module in MODULES if module.path.name != "__init__.py"]


def _target(imported: str) -> Module | None:
    """The module of ours that an import leads to: itself, or the one that holds the name."""
    return BY_NAME.get(imported) or BY_NAME.get(imported.rpartition(".")[0])


def test_there_is_something_to_check() -> None:
    assert {module.name.partition(".")[0] for module in OURS} >= {"wire", "runtime", "probe"}


@pytest.mark.parametrize("module", OURS, ids=lambda module: module.name)
def test_every_module_states_its_floor(module: Module) -> None:
    assert module.floor, f'{module.path} must open with "Floor 1.", "Floor 2." or "Floor 3."'


@pytest.mark.parametrize("module", OURS, ids=lambda module: module.name)
def test_imports_come_from_the_same_floor_or_below(module: Module) -> None:
    for imported in module.imports:
        target = _target(imported)
        if target is None or target.floor is None or module.floor is None:
            continue
        assert target.floor <= module.floor, (
            f"{module.name} (floor {module.floor}) imports {target.name} (floor {target.floor})"
        )


@pytest.mark.parametrize("module", OURS, ids=lambda module: module.name)
def test_rooms_keep_to_themselves(module: Module) -> None:
    room = module.name.partition(".")[0]
    for imported in module.imports:
        other = imported.partition(".")[0]
        if other in ROOMS and other != room:
            assert other in ROOMS[room], f"{module.name} imports {imported}"


@pytest.mark.parametrize("module", [m for m in OURS if m.floor == 1], ids=lambda m: m.name)
def test_floor_1_is_pure(module: Module) -> None:
    forbidden = IMPURE - PURE_ALL_THE_SAME.get(module.name, set())
    impure = {imported for imported in module.imports if imported.partition(".")[0] in forbidden}
    assert not impure, f"{module.name} is floor 1 and imports {sorted(impure)}"


def test_each_outside_library_is_imported_by_one_file() -> None:
    users: dict[str, set[str]] = {library: set() for library in ONE_FILE_EACH}
    for module in OURS:
        for imported in module.imports:
            if (library := imported.partition(".")[0]) in users:
                users[library].add(str(module.path.relative_to(ROOT)))
    for library, files in ONE_FILE_EACH.items():
        assert users[library] <= files, f"{library} is imported by {users[library] - files}"


def test_the_contract_is_importable_without_our_dependencies() -> None:
    """`wire` needs msgspec and the standard library alone: subscribers may install just that."""
    known = set(sys.stdlib_module_names) | {"msgspec", "wire", "__future__"}
    for module in OURS:
        if module.name.startswith("wire."):
            foreign = {name for name in module.imports if name.partition(".")[0] not in known}
            assert not foreign, f"{module.name} imports {foreign}"
