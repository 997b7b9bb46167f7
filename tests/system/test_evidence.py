"""From a store to an ISP's machine: the command, the wheel where nothing else is, the example."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path

import pytest

from collector.users.user_store import UserStore
from tests.evidence_month import EvidenceMonth

ROOT = Path(__file__).parents[2]
LINE = "bach-thong/tram-01969-1/vnpt"
# What `pip install tramdo[verify]` brings beside the wheel, and msgspec, which is not needed.
BROUGHT = ("cryptography", "cffi", "pycparser")
PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from verify.__main__ import main
sys.exit(main())
"""
LIMIT_S = 300


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by the command, of a store with a small month."""
    folder = tmp_path_factory.mktemp("evidence")
    month = EvidenceMonth(folder, tests_a_day=3, light_a_day=2)
    month.store.close()
    config = folder / "collector.toml"
    config.write_text(
        f'tenant = "bach-thong"\n[papers]\npath = "{folder}/papers"\n[broker]\nhost = "localhost"\n'
        f'[intake]\nauthority_file = "{folder}/authority/ca.pem"\n'
        f'[store]\npath = "{folder}/results.sqlite"\n[web]\npeople_file = "{folder}/people"\n'
    )
    path = folder / "evidence.zip"
    done = run(
        [sys.executable, "-m", "collector", "evidence", "-c", str(config), "--line", LINE,
         "--period", "2026-06", "--output", str(path), "--with-addresses"]
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    recorded(folder, "take_evidence", f"{LINE} 2026-06-01..2026-06-30", done.stdout)
    return path


def recorded(folder: Path, action: str, subject: str, shown: str) -> None:
    """The audit trail's last event is this one, with the digest that the command has printed."""
    event = UserStore(folder / "people").audit_events(1)[0]
    assert (event.action, event.subject) == (action, subject)
    assert f"manifest SHA-256: {event.detail.removeprefix('sha256:')}\n" in shown
    assert event.user.startswith("uid ")


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files and what the extra brings, and no other package."""
    folder = tmp_path_factory.mktemp("installed")
    source, wheels = folder / "source", folder / "wheels"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "bench/", "findings/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    built = run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation",
         "--wheel-dir", str(wheels), str(source)]
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = wheels.glob("tramdo-*.whl")
    site = folder / "site"
    shutil.unpack_archive(wheel, site, "zip")
    for package in BROUGHT:
        for file in files(package) or ():
            target = site / file
            if ".." not in file.parts and file.suffix != ".pyc":
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), target)
    return site


def test_the_wheel_checks_a_bundle_where_nothing_else_is(installed: Path, bundle: Path) -> None:
    # -I and -S: neither the checkout nor this environment's packages.
    alone = [sys.executable, "-I", "-S", "-c", PROGRAM, str(installed)]
    done = run([*alone, str(bundle), "--json"])
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    (counts,) = found["epochs"].values()
    assert counts["proven"] == 30 * (3 + 2 + 1) + 1
    assert (installed / "collector/evidence/method.md").read_text(encoding="utf-8") == (
        ROOT / "docs/method.md"
    ).read_text(encoding="utf-8")
    missing = run([*alone, str(bundle.with_name("none.zip"))])
    assert missing.returncode == 2


def test_an_issued_report_is_bundled_by_its_name(bundle: Path) -> None:
    folder = bundle.parent
    config, path = folder / "collector.toml", folder / "issue.zip"
    report = [sys.executable, "-m", "collector", "report", "monthly", "-c", str(config),
              "--group", "all", "--period", "2026-06"]  # fmt: skip
    issued = run(report)
    assert issued.returncode == 0, issued.stderr
    name = Path(issued.stdout.splitlines()[-1]).stem
    command = [sys.executable, "-m", "collector", "evidence", "-c", str(config), "--output",
               str(path), "--issue"]  # fmt: skip
    done = run([*command, name])
    assert done.returncode == 0, done.stderr
    recorded(folder, "take_evidence", name, done.stdout)
    checked = run([sys.executable, "-m", "verify", str(path)])
    assert checked.returncode == 0, checked.stdout
    assert f"report: {name}" in checked.stdout
    assert "area: 54 of 54 figures of the report" in checked.stdout
    unknown = run([*command, "monthly_all_20260601-20260630_v9"])
    assert (unknown.returncode, "there is no issued report" in unknown.stderr) == (2, True)
    both = run([*command, name, "--period", "2026-06"])
    assert (both.returncode, "without --line and --period" in both.stderr) == (2, True)


def test_nothing_is_given_out_that_cannot_be_recorded(bundle: Path, tmp_path: Path) -> None:
    config = tmp_path / "collector.toml"
    text = bundle.with_name("collector.toml").read_text(encoding="utf-8")
    config.write_text(text.replace(f"{bundle.parent}/people", f"{tmp_path}/missing/people"))
    done = run(
        [sys.executable, "-m", "collector", "evidence", "-c", str(config), "--line", LINE,
         "--period", "2026-06", "--output", str(tmp_path / "x.zip")]
    )  # fmt: skip
    assert done.returncode == 1
    assert "missing/people" in done.stderr
    assert list(tmp_path.iterdir()) == [config]


def test_the_demo_s_month_is_checked_where_nothing_else_is(installed: Path, tmp_path: Path) -> None:
    """Of the centre that `make demo` fills: a district's report, issued as its timer would."""
    seed = [sys.executable, "-m", "deploy.demo.seed", str(tmp_path), "--until",
            "2026-11-30T05:00:00Z"]  # fmt: skip
    assert run(seed).returncode == 0
    issued = run([*seed, "--reports"])
    (record,) = [Path(one) for one in issued.stdout.splitlines()
                 if "monthly_bach-thong-cu" in one and one.endswith(".json")]  # fmt: skip
    path = tmp_path / "evidence.zip"
    written = run(
        [sys.executable, "-m", "collector", "evidence", "-c", str(tmp_path / "collector.toml"),
         "--issue", record.stem, "--output", str(path), "--with-addresses"]
    )  # fmt: skip
    assert written.returncode == 0, written.stderr
    done = run([sys.executable, "-I", "-S", "-c", PROGRAM, str(installed), str(path), "--json"])
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["question"]["issue"] == record.stem
    epochs = found["epochs"].values()
    assert sum(counts["proven"] for counts in epochs) > 5_000
    assert all(counts["unsigned"] + counts["masked"] == 0 for counts in epochs)
    rows = json.loads(record.read_text(encoding="utf-8"))["rows"]
    texts = [one["text"] for one in found["findings"] if one["kind"] == "agrees"]
    assert sum("figures of the report" in text for text in texts) >= len(rows) > 20


def test_a_line_that_is_not_registered_is_refused(bundle: Path, tmp_path: Path) -> None:
    config = bundle.with_name("collector.toml")
    done = run(
        [sys.executable, "-m", "collector", "evidence", "-c", str(config), "--line", "a/b/c",
         "--period", "2026-06", "--output", str(tmp_path / "x.zip")]
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "the registry has no line 'a/b/c'\n")
    assert list(tmp_path.iterdir()) == []


def test_the_example_has_the_report_s_mean(bundle: Path) -> None:
    example = ROOT / "docs" / "evidence_example.py"
    assert len(example.read_text(encoding="utf-8").splitlines()) <= 150
    done = run([sys.executable, "-I", str(example), str(bundle), LINE])
    assert done.returncode == 0, done.stdout + done.stderr
    chain, mean, report = done.stdout.splitlines()
    assert chain.endswith(f"{30 * (3 + 2 + 1) + 1} results signed, one chain")
    assert mean.split(": ")[1] == report.split(": ")[1]
