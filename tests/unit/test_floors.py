"""The architecture as a test: floors, rooms, and which file may import which library.

Every rule is a function of a list of modules, so that it can be held against planted ones too.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("wire", "runtime", "probe", "server", "collector", "verify", "deploy", "ansible")
_SHARED = {"wire", "runtime"}
_STORAGE = {"collector.registry", "collector.rollup", "collector.store"}
_ABOVE_STORAGE = {
    "collector.domain", "collector.users", "collector.alerts", "collector.reports",
    "collector.commands", "collector.ingest", "collector.mailing",
}  # fmt: skip
# What a room may import besides itself. `wire` is pure and knows nobody. A room inside `deploy` has
# a line of its own: what is installed (authority, fleet) must not reach what only a checkout has.
ROOMS = {
    "wire": set[str](),
    "runtime": {"wire"},
    "probe": {"wire", "runtime"},
    "server": {"wire", "runtime"},
    # Storage, then domain, then what is shown and sent: web, alerts, reports. Never back.
    "collector.registry": {"wire", "runtime"},
    "collector.rollup": {"wire", "collector.registry"},
    "collector.store": _SHARED | {"collector.registry", "collector.rollup"},
    "collector.domain": _SHARED | _STORAGE,
    "collector.users": _SHARED,
    "collector.export": _SHARED | _STORAGE,
    "collector.analytics": _SHARED | _STORAGE,
    "collector.alerts": _SHARED | _STORAGE | {"collector.domain"},
    "collector.reports": _SHARED | _STORAGE | {"collector.domain"},
    # Of `collector` itself they take `config`.
    "collector.open_data": _SHARED | _STORAGE | {"collector.domain"},
    "collector.evidence": _SHARED | _STORAGE | {"collector.reports", "collector.users"},
    "collector.mailing": _SHARED
    | _STORAGE
    | {"collector.domain", "collector.alerts", "collector.reports"},
    "collector.commands": _SHARED | _STORAGE | {"collector"},
    "collector.ingest": _SHARED
    | _STORAGE
    | {"collector", "collector.commands", "collector.domain"},
    "collector.web": _SHARED
    | _STORAGE
    | _ABOVE_STORAGE
    | {"collector.evidence", "collector.open_data"},
    # The command line and the configuration.
    "collector": _SHARED
    | _STORAGE
    | _ABOVE_STORAGE
    | {
        "collector.web",
        "collector.open_data",
        "collector.export",
        "collector.evidence",
        "collector.analytics",
    },
    # What checks a bundle of evidence shares nothing with what makes it.
    "verify": set(),
    "deploy.authority": {"wire", "runtime"},
    "deploy.fleet": {"wire", "runtime", "deploy.authority"},
    "deploy.rendering": {"runtime"},
    "deploy.broker": {"wire", "runtime", "deploy.rendering"},
    "deploy.database": {"runtime", "deploy.rendering"},
    "deploy.measurement_server": {"wire"},
    "deploy.handbook": {"runtime", "probe"},
    "deploy.grafana": set(),
    "deploy.demo": _SHARED
    | _STORAGE
    | _ABOVE_STORAGE
    | {"probe", "collector", "deploy.authority", "tests"},
    # What is run in a checkout only: deploy/contract.py and its like.
    "deploy": {"wire"},
    # Runs on the machine that runs Ansible, and on a box by ansible-pull: nothing of ours is there.
    "ansible": set(),
    "tests": set(),
    "bench": set(),
}
# An example for strangers: none of our code, and no package.
NO_MODULES = {"deploy/subscribers/subscribe.py"}
# Floor 1 takes bytes, times and numbers: nothing that reads the world or waits for it.
IMPURE = {
    "asyncio", "concurrent", "ctypes", "fcntl", "getpass", "glob", "grp", "gzip", "http",
    "logging", "mmap", "multiprocessing", "os", "pathlib", "platform", "pty", "pwd", "queue",
    "random", "resource", "sched", "secrets", "select", "selectors", "shutil", "signal", "socket",
    "socketserver", "sqlite3", "ssl", "subprocess", "sys", "tarfile", "tempfile", "termios",
    "threading", "time", "urllib", "zipfile",
    "ansible", "anyio", "argon2", "cryptography", "duckdb", "gpiozero", "iperf3", "itsdangerous",
    "jinja2", "lgpio", "paho", "prometheus_client", "psutil", "psycopg", "requests", "rich",
    "schedule", "smtplib", "socks", "starlette", "urllib3", "uvicorn", "weasyprint", "xlsxwriter",
}  # fmt: skip
# A lock keeps a library from itself; nothing is waited for but that.
# `random` there is seeded: the same day gives the same results.
PURE_ALL_THE_SAME = {"wire.decoding": {"threading"}, "deploy.demo.month": {"random"}}
# One file of a room wraps one outside thing; where there are several, each is named.
WRAPPED_BY = {
    "paho": {"runtime/mqtt.py"},
    "socks": {"runtime/mqtt.py"},
    "gpiozero": {"probe/show/leds.py"},
    "lgpio": {"probe/show/leds.py"},
    "schedule": {"probe/schedule/timetable.py"},
    "iperf3": {"probe/measure/throughput/iperf3_child.py"},
    "requests": {
        "probe/measure/operator/external.py",
        "collector/alerts/webhook.py",
        "collector/analytics/http_client.py",
        "deploy/fleet/fetcher.py",
    },
    "urllib3": {"probe/measure/operator/external.py", "probe/measure/http/connection.py"},
    "smtplib": {"collector/alerts/mail.py"},
    "psycopg": {"collector/store/postgresql.py", "collector/store/postgresql_restore.py"},
    "sqlite3": {
        "probe/deliver/outbox_file.py",
        "collector/store/sqlite.py",
        "collector/store/sqlite_copy.py",
        "collector/users/user_store.py",
        "collector/alerts/alert_database.py",
    },
    "subprocess": {
        "probe/measure/throughput/iperf3_process.py",
        "probe/measure/link_resolvers.py",
        "collector/store/backup.py",
        "deploy/fleet/box.py",
        "deploy/fleet/cli.py",
        "deploy/fleet/releases.py",
        "deploy/hygiene.py",
        "deploy/demo/system.py",
        "deploy/supply_chain.py",
        "deploy/wheelhouse.py",
    },
    "argon2": {"collector/users/passwords.py"},
    "itsdangerous": {"collector/users/sessions.py"},
    "dns": {"probe/measure/dns/message.py"},
    "weasyprint": {"collector/reports/pdf.py", "deploy/handbook/card.py"},
    "xlsxwriter": {"collector/reports/workbook.py"},
    "openpyxl": {"collector/registry/workbook_rows.py"},
    "jinja2": {
        "collector/web/page_context.py",
        "collector/reports/pdf.py",
        "deploy/broker/render.py",
        "deploy/database/render.py",
        "deploy/handbook/card.py",
        "deploy/measurement_server/http_server.py",
    },
    "cryptography": {
        "deploy/authority/certificates.py",
        "collector/open_data/signing_key.py",
        "deploy/fleet/signature.py",
        "runtime/signing_certificate.py",
        "verify/certificates.py",
    },
    "duckdb": {"collector/open_data/parquet.py"},
    "yaml": {"deploy/fleet/seed.py"},
    "rich": {"deploy/demo/outcome.py", "deploy/demo/view.py"},
    "packaging": {"deploy/wheelhouse.py"},
}


class Module(NamedTuple):
    """A module of ours: its path in the tree, dotted name, floor, and what it imports."""

    path: str
    name: str
    floor: int | None
    imports: list[str]


def parsed(path: str, source: str) -> Module:
    """A module from its source."""
    tree = ast.parse(source)
    stated = re.match(r"Floor ([123])\.", ast.get_docstring(tree) or "")
    name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return Module(path, name, int(stated[1]) if stated else None, list(_imports(tree)))


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


def _modules() -> Iterator[Module]:
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            path = file.relative_to(ROOT).as_posix()
            if path not in NO_MODULES:
                yield parsed(path, file.read_text(encoding="utf-8"))


MODULES = list(_modules())


def room_of(dotted: str) -> str | None:
    """The room that a dotted name leads into: the longest that is listed; None outside of ours."""
    parts = dotted.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in ROOMS), None)


def without_a_floor(modules: Sequence[Module]) -> Iterator[str]:
    """Every module states its floor; a package's own file need not."""
    for module in modules:
        if module.floor is None and not module.path.endswith("/__init__.py"):
            yield f'{module.path} must open with "Floor 1.", "Floor 2." or "Floor 3."'


def from_above(modules: Sequence[Module]) -> Iterator[str]:
    """Imports come from the same floor or below."""
    by_name = {module.name: module for module in modules}
    for module in modules:
        for imported in module.imports:
            target = by_name.get(imported) or by_name.get(imported.rpartition(".")[0])
            if target is None or target.floor is None or module.floor is None:
                continue
            if target.floor > module.floor:
                yield (
                    f"{module.path} (floor {module.floor}) imports "
                    f"{target.path} (floor {target.floor})"
                )


def from_another_room(modules: Sequence[Module]) -> Iterator[str]:
    """Rooms keep to themselves."""
    for module in modules:
        room = room_of(module.name)
        for imported in module.imports:
            other = room_of(imported)
            if room is None or other in {None, room}:
                continue
            # `from deploy.fleet import x` names the room, `from deploy import fleet` its parent.
            if other not in ROOMS[room]:
                yield f"{module.path} imports {imported}"


def impure(modules: Sequence[Module]) -> Iterator[str]:
    """Floor 1 touches nothing outside."""
    for module in modules:
        forbidden = IMPURE - PURE_ALL_THE_SAME.get(module.name, set())
        found = {name for name in module.imports if name.partition(".")[0] in forbidden}
        if module.floor == 1 and found:
            yield f"{module.path} is floor 1 and imports {', '.join(sorted(found))}"


def wrapped_elsewhere(modules: Sequence[Module]) -> Iterator[str]:
    """Each outside library is imported by the files that are named for it."""
    for module in modules:
        libraries = {name.partition(".")[0] for name in module.imports}
        for library in sorted(libraries & WRAPPED_BY.keys()):
            if module.path not in WRAPPED_BY[library]:
                yield f"{module.path} imports {library}"


RULES: list[Callable[[Sequence[Module]], Iterator[str]]] = [
    without_a_floor,
    from_above,
    from_another_room,
    impure,
    wrapped_elsewhere,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps(rule: Callable[[Sequence[Module]], Iterator[str]]) -> None:
    assert list(rule(MODULES)) == []


def test_every_room_is_looked_at() -> None:
    looked_at = {room_of(module.name) for module in MODULES}
    assert looked_at == ROOMS.keys() - {"tests", "bench"}


def test_no_file_is_named_for_a_library_that_it_no_longer_imports() -> None:
    for library, paths in WRAPPED_BY.items():
        users = {
            module.path
            for module in MODULES
            if any(name.partition(".")[0] == library for name in module.imports)
        }
        assert paths == users, library


@pytest.mark.parametrize("room", sorted(ROOMS.keys() - {"tests", "bench"}))
def test_a_socket_in_a_pure_module_is_found_in_every_room(room: str) -> None:
    planted = parsed(f"{room.replace('.', '/')}/planted.py", '"""Floor 1. Pure."""\nimport socket')
    assert len(list(impure([*MODULES, planted]))) == 1


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (without_a_floor, "deploy/fleet/planted.py", '"""Says nothing."""'),
        (without_a_floor, "ansible/filter_plugins/planted.py", ""),
        (from_above, "deploy/fleet/planted.py", '"""Floor 1. P."""\nfrom deploy.fleet import box'),
        (from_above, "deploy/authority/planted.py", '"""Floor 2. P."""\nimport deploy.fleet.cli'),
        (from_another_room, "probe/planted.py", "from deploy.fleet.box import Box"),
        (from_another_room, "deploy/authority/planted.py", "import deploy.fleet.tokens"),
        (from_another_room, "deploy/fleet/planted.py", "from tests import broker"),
        (
            from_another_room,
            "collector/alerts/planted.py",
            "from collector.web.page_context import Site",
        ),
        (from_another_room, "collector/domain/planted.py", "from collector.alerts import rules"),
        (from_another_room, "collector/store/planted.py", "from collector.domain import lines"),
        (from_another_room, "collector/web/planted.py", "from collector import config"),
        (from_another_room, "deploy/fleet/planted.py", "from deploy import wheelhouse"),
        (from_another_room, "ansible/filter_plugins/planted.py", "from wire import topics"),
        (impure, "deploy/fleet/planted.py", '"""Floor 1. P."""\nfrom cryptography import x509'),
        (wrapped_elsewhere, "deploy/fleet/planted.py", "import subprocess"),
        (wrapped_elsewhere, "probe/planted.py", "from urllib3.util import Timeout"),
    ],
)
def test_what_is_planted_is_found(
    rule: Callable[[Sequence[Module]], Iterator[str]], path: str, source: str
) -> None:
    found = list(rule([*MODULES, parsed(path, source)]))
    assert len(found) == 1
    assert found[0].startswith(path)


def test_the_contract_is_importable_without_our_dependencies() -> None:
    """`wire` needs msgspec and the standard library alone: subscribers may install just that."""
    known = set(sys.stdlib_module_names) | {"msgspec", "wire", "__future__"}
    for module in MODULES:
        if module.name.startswith("wire."):
            foreign = {name for name in module.imports if name.partition(".")[0] not in known}
            assert not foreign, f"{module.name} imports {foreign}"


def test_each_page_has_a_pure_view_beside_it() -> None:
    pages = sorted((ROOT / "collector" / "web").glob("*_page.py"))
    assert len(pages) > 8
    # The form of signing in, and the audit trail as it is stored: nothing is decided there.
    for page in (page for page in pages if page.name != "sign_in_page.py"):
        view = page.with_name(page.name.replace("_page.py", "_view.py"))
        assert parsed(str(view), view.read_text(encoding="utf-8")).floor == 1, view.name
