"""What `make hygiene` finds in files, and what `make hooks` installs in a repository."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from deploy import hygiene

ROOT = Path(__file__).parents[2]


def written(root: Path, path: str, content: bytes, mode: int = 0o644) -> str:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    file.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("path", "content", "mode", "message"),
    [
        ("a.py", b"x = 1\n<<<<<<< HEAD\n", 0o644, "a.py:2: a merge marker"),
        ("a.md", b">>>>>>> main\n", 0o644, "a.md:1: a merge marker"),
        ("a.md", b"title  \n", 0o644, "a.md:1: white space at the end of the line"),
        ("a.md", b"title\r\n", 0o644, "a.md:1: white space at the end of the line"),
        ("a.md", b"title", 0o644, "a.md:1: no newline at the end"),
        ("run", b"#!/bin/sh\n", 0o644, "run:1: begins with #! and is not executable (chmod +x)"),
        ("a.py", b"x = 1\n", 0o755, "a.py:1: is executable and does not begin with #!"),
        (
            "requirements/probe.txt",
            b"--extra-index-url https://packages.example/simple\n",
            0o644,
            "requirements/probe.txt:1: a lock file names no package index",
        ),
        ("big.bin", b"\0" * 1_000_001, 0o644, "big.bin:1: 1000001 bytes; more than 1000000 "),
    ],
)
def test_what_does_not_belong_is_found(
    tmp_path: Path, path: str, content: bytes, mode: int, message: str
) -> None:
    (found,) = hygiene.problems(tmp_path, written(tmp_path, path, content, mode))
    assert found.startswith(message)


@pytest.mark.parametrize(
    ("path", "content", "mode"),
    [
        ("a.md", "Trạm đo\n=======\n".encode(), 0o644),
        ("empty", b"", 0o644),
        ("run", b"#!/bin/sh\n", 0o755),
        ("tests/golden/iperf3/cut.report", b"cut off ", 0o644),
        ("roles/base/templates/hook.j2", b"#!/bin/sh\n{{ x }}", 0o644),
        ("docs/a.md", b"https://packages.example/simple\n", 0o644),
        ("a.png", b"\x89PNG\0 \n ", 0o644),
    ],
)
def test_what_belongs_is_left_alone(tmp_path: Path, path: str, content: bytes, mode: int) -> None:
    assert list(hygiene.problems(tmp_path, written(tmp_path, path, content, mode))) == []


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with our Makefile and hook, and nothing else."""
    for name in ("Makefile", "deploy/pre-commit"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    return tmp_path


def hooks(clone: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "hooks"], cwd=clone, capture_output=True, text=True, check=False)


def test_the_hook_is_installed_as_often_as_one_likes(clone: Path) -> None:
    assert hooks(clone).returncode == 0
    assert hooks(clone).returncode == 0
    hook = clone / ".git" / "hooks" / "pre-commit"
    assert hook.read_bytes() == (ROOT / "deploy" / "pre-commit").read_bytes()
    assert hook.stat().st_mode & 0o111 == 0o111


def test_a_hook_of_ones_own_is_left_alone(clone: Path) -> None:
    hook = clone / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    refused = hooks(clone)
    assert refused.returncode != 0
    assert "pre-commit is not ours" in refused.stderr
    assert hook.read_text(encoding="utf-8") == "#!/bin/sh\nexit 0\n"


def test_a_commit_that_the_checks_refuse_is_not_made(clone: Path) -> None:
    """The hook that is installed runs `make pre-commit`, and git obeys it."""
    hooks(clone)
    makefile = clone / "Makefile"
    for outcome, code in (("false", 1), ("true", 0)):
        makefile.write_text(f"pre-commit:\n\t@{outcome}\n", encoding="utf-8")
        commit = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit"]
        commit += ["--quiet", "--allow-empty", "--message", "a change"]
        made = subprocess.run(commit, cwd=clone, capture_output=True, text=True, check=False)
        assert (made.returncode == 0) == (code == 0), made.stderr
