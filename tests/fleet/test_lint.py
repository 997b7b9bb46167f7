"""The roles and playbooks as ansible-lint's strictest profile wants them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_ansible_lint_has_nothing_to_say(tmp_path: Path) -> None:
    tools = Path(sys.executable).parent
    environment = dict(os.environ) | {
        "PATH": f"{tools}:{os.environ.get('PATH', '')}", "HOME": str(tmp_path), "NO_COLOR": "1",
    }  # fmt: skip
    ended = subprocess.run(
        [tools / "ansible-lint", "--offline", "--profile", "production", "ansible"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Profile 'production' was required, and it passed" in ended.stderr
