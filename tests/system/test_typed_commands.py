"""What the documents have a reader type is typed here, in a clean copy of the repository.

Each command of a page is in `STORY` and run, or is named in `NOT_RUN` with the reason and with what
checks it instead; a command that is in neither fails. A reader's own names (hosts, folders that
only root may write) are replaced as `STANDS_FOR` says, everything else is as printed. Our own
programs' options are parsed for every command by tests/unit/test_documents.py.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("README*.md"),
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/contract/*.md"),
        *ROOT.glob("deploy/*/*.md"),
    ]
)
# Their blocks are formulas.
FORMULAS = ("method.md", "method.vi.md")
PROGRAMS = (
    "make", "python", "python3", "pip", "git", "sudo", "systemctl", "openssl", "mosquitto_passwd",
    "ansible-playbook", "tramdo-", ".venv/bin/", "../.venv/bin/",
)  # fmt: skip
_FENCED = re.compile(r"^ *```([a-z]*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
# What a command does stands beside it, a wide gap or a `#` away.
_REMARK = re.compile(r" {5,}.*| +#.*|^#.*")


def typed(page: Path) -> Iterator[str]:
    """The commands of a page: each line of its blocks, and what a sentence quotes with a blank."""
    text = page.read_text(encoding="utf-8")
    for language, block in _FENCED.findall(text):
        if not language and page.name not in FORMULAS:
            for line in block.replace("\\\n", " ").splitlines():
                for part in _REMARK.sub("", line).split("; "):
                    if part.strip():
                        yield re.sub(r" {2,4}", " ", part.strip())
    for quoted in re.findall(r"`([^`]+)`", re.sub(r"\s*\n\s*", " ", _FENCED.sub("", text))):
        if " " in quoted and quoted.startswith(PROGRAMS):
            yield quoted


TYPED = {command: page.relative_to(ROOT).as_posix() for page in PAGES for command in typed(page)}


class Step(NamedTuple):
    """A command as it is printed, in which folder, and which exit codes are a success."""

    command: str
    ends: tuple[int, ...] = (0,)
    folder: str = "."
    # What a reader has on the screen before: typed first, and nowhere in the documents.
    before: str = "true"
    entered: str = ""


# A reader's own names, in this order.
STANDS_FOR = [
    ("sudo -u tramdo ", ""),
    ("sudo ", ""),
    ("/etc/tramdo/collector.toml", "{folder}/collector.toml"),
    ("/var/lib/tramdo-fleet-serve/authority", "{folder}/authority"),
    ("/root/tramdo-passphrase", "{folder}/passphrase"),
    ("/media/you/bootfs", "{folder}/bootfs"),
    ("/tmp/", "{folder}/"),
    ("…", "x"),
]
# Without `-c` and `--directory` a program reads below /etc/tramdo; here that is the copy's folder.
AUTHORITY = " --directory {folder}/authority"
STORY = [
    Step("tramdo-probe example"),
    Step("tramdo-probe example > probe.toml"),
    Step("tramdo-probe plan --month"),
    Step("tramdo-probe status", ends=(3,)),  # no daemon is running here
    Step("tramdo-collector example > collector.toml"),
    Step("tramdo-collector example registry"),
    Step(
        "tramdo-collector registry apply registry.toml",
        # Filled in: a store and pages of the copy's own.
        before='sed -i \'s#^ca_file.*##; s#^\\# path = "/var/lib/#path = "{folder}/var/#;'
        ' s#^\\# people_file = "/var/lib/#people_file = "{folder}/var/#\' collector.toml'
        " && mkdir -p var/tramdo-collector && tramdo-collector example registry > registry.toml",
    ),
    Step("sudo -u tramdo tramdo-collector registry check registry.toml"),
    Step(
        "tramdo-collector communes new.csv",
        before="cp collector/registry/data/vn_communes.csv new.csv",
    ),
    Step("sudo -u tramdo tramdo-collector communes new.csv"),
    Step("sudo -u tramdo tramdo-collector communes new.csv --since 2027-01-01 --apply"),
    Step("tramdo-collector users add lan --role centre", entered="Mật khẩu dài và lạ 1\n" * 2),
    Step("sudo -u tramdo tramdo-collector users list -c /etc/tramdo/collector.toml"),
    Step("tramdo-collector status -c /etc/tramdo/collector.toml"),
    Step("tramdo-collector backup copy.sqlite"),
    Step("tramdo-collector repack"),
    Step("tramdo-collector signatures"),
    *(
        Step(
            f"sudo -u tramdo tramdo-collector rollup {action} --line bach-thong/phu-thong-01/vnpt"
            " --period 2026-07 -c /etc/tramdo/collector.toml"
        )
        for action in ("check", "rebuild")
    ),
    Step(
        "tramdo-collector evidence --line bach-thong/phu-thong-01/vnpt --period 2026-07"
        " --output evidence.zip"
    ),
    Step("tramdo-collector report weekly --group bach-thong-cu --out reports/"),
    Step("tramdo-collector export lmap"),
    Step("tramdo-collector analytics ddl"),
    Step("cp deploy/broker/example.toml settings.toml"),
    Step("mkdir -p /tmp/broker"),
    Step(".venv/bin/python -m deploy.broker check settings.toml"),
    Step(".venv/bin/python -m deploy.broker settings.toml /tmp/broker"),
    Step("cp deploy/broker/cluster.example.toml cluster.toml"),
    Step(".venv/bin/python -m deploy.broker rabbitmq cluster.toml /tmp/broker"),
    Step(".venv/bin/python -m deploy.broker nats cluster.toml /tmp/broker"),
    Step("cp deploy/database/example.toml database.toml"),
    Step("mkdir -p /tmp/database"),
    Step(".venv/bin/python -m deploy.database database.toml /tmp/database"),
    Step(".venv/bin/python -m deploy.handbook wiring -c probe.toml -o wiring.svg"),
    Step(
        ".venv/bin/python -m deploy.handbook card --probe phu-thong-01"
        ' --office "…" --technician "…" --phone "…"'
    ),
    Step(
        "python3 ansible/inventories/nation/generate.py"
        " collector/registry/data/vn_communes.csv > hosts.yml"
    ),
    Step(
        'tramdo-authority init --name "Tramdo Bạch Thông"'
        " --passphrase-file /root/tramdo-passphrase",
        before="(umask 077; echo thử > passphrase)",
    ),
    Step("tramdo-fleet key"),
    Step("tramdo-fleet example > seed.toml"),
    Step(
        "sudo tramdo-fleet seed phu-thong-01 --directory /var/lib/tramdo-fleet-serve/authority"
        " --settings seed.toml --release-key release.key.pub --out /media/you/bootfs",
        before="mkdir bootfs",
    ),
    Step(
        "../.venv/bin/tramdo-fleet registry --inventory inventories/office --out registry.toml",
        folder="ansible",
    ),
    Step("openssl rand -base64 24"),
    Step("tramdo-authority list --within 60", ends=(0, 3)),
    Step("tramdo-authority list --json"),
    Step(
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        " -keyout probe.key -subj /CN=phu-thong-01 -out phu-thong-01.csr"
    ),
]
ON_THE_BOX = "it needs the box it is for; its options are parsed, the program is tests/system's"
OF_ROOT = "it changes the machine; what it sets up is tests/fleet's and tests/system's"
SIGNS = "with a passphrase it asks for the file again; run whole by test_authority_command"
A_BOX_OR_HOUR = "by hand or for many minutes; make knows the target (test_make_knows_it)"
# What is not run here, and why.
NOT_RUN = [
    (
        r"python -m tests\.deaths (nats|rabbitmq)( --runs \d+)?",
        "minutes of nodes that die; tests/system/test_nats.py and test_rabbitmq.py run them alive",
    ),
    (
        r"python -m deploy\.demo\.seed (FOLDER|THƯ-MỤC)",
        "tests/system/test_demo_month.py runs it and looks at what it has made",
    ),
    (r"make .*|make", A_BOX_OR_HOUR),
    (
        r"(sudo )?tramdo-probe (check|measure|run|doctor|leds|ceiling|identify|plan|status)\b.*",
        ON_THE_BOX,
    ),
    (r"tramdo-probe --version", ON_THE_BOX),
    (
        r"tramdo-reflector --listen .*",
        "the address is the server's; tests/system/test_reflector.py",
    ),
    (r"tramdo-lease --iperf3-port .*", "it listens until it is ended; tests/system/test_lease.py"),
    (r"(sudo )?tramdo-fleet (pull|publish)\b.*", "tests/system/test_fleet.py publishes and pulls"),
    (r"\.venv/bin/tramdo-fleet publish .*", "tests/system/test_fleet.py publishes and pulls"),
    (r"tramdo-authority (server-cert|crl|sign|revoke|request)\b.*", SIGNS),
    (
        r"tramdo-collector evidence --issue .*",
        "tests/system/test_evidence.py issues a report and makes its bundle",
    ),
    (
        r"(sudo -u tramdo )?tramdo-collector open-data\b.*",
        "tests/system/test_open_data.py publishes a month",
    ),
    (
        r"tramdo-collector (check|run|command)\b.*",
        "they need a broker; tests/system/test_collector.py",
    ),
    (
        r"tramdo-collector analytics (create|export)\b.*",
        "they need ClickHouse; tests/system/test_analytics.py",
    ),
    (
        r"(sudo -u tramdo )?tramdo-collector (users|report|export|registry) .*",
        "a variant of one in STORY",
    ),
    (r"(\.\./\.venv/bin/)?ansible-playbook .*", "tests/fleet runs the playbooks on booted systems"),
    (
        r"tramdo-verify (--lang vi )?evidence\.zip",
        "tests/system/test_evidence.py runs it where nothing else is",
    ),
    (r"pip install 'tramdo\[verify\]'", "it asks a package index; what it brings is test_extras'"),
    (r"tramdo-fleet registry", "named in a sentence; with its options in STORY"),
    (r"cd ansible", "the folder of the steps after it"),
    (r"(sudo )?(systemctl|journalctl|install|touch|chmod|chown|mosquitto_passwd) .*", OF_ROOT),
    (
        r"\.venv/bin/python -m (bench|tests)\.[\w.]+.*",
        "minutes of measuring; tests/system/test_bench.py",
    ),
    (
        r"python -m bench\.[\w.]+( --[a-z]+( [\w./-]+)?)*",
        "docs/figures.md records which program wrote a part of it",
    ),
    (
        r"sudo (-u postgres|rm -r /var/lib/postgresql/) ?.*",
        "a database's cluster: bench.database_deaths restores one by the same commands",
    ),
    (
        r"(sudo -u tramdo )?tramdo-collector restore --in-place.*",
        "of a store that was restored; tests/contract/test_backup.py runs it",
    ),
    (
        r"tramdo-collector (backup|restore) copy",
        "a store of each kind; tests/contract/test_backup.py",
    ),
    (r"\.venv/bin/pytest .*", "a test of this suite"),
    (r"\.venv/bin/pip freeze .*", "for a finding; it prints"),
    (r"git (commit|tag) .*", "it would change the repository"),
    (r"pip install paho-mqtt jsonschema", "other programs' packages, here already"),
    (
        r"(BROKER=.* )?(python3 )?deploy/subscribers/.*",
        "tests/system/test_subscribers.py runs both",
    ),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has after `git clone` and `make check`: the files under git, and .venv."""
    folder = tmp_path_factory.mktemp("clean") / "tramdo"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    return folder


def put(command: str, folder: Path) -> str:
    """The command with a reader's own names in it."""
    for name, own in STANDS_FOR:
        command = command.replace(name, own)
    if re.match(r"tramdo-(probe|collector) (?!example)", command) and not re.search(
        r" (-c|--config) ", command
    ):
        command += f" -c {{folder}}/{command.split(' ')[0].removeprefix('tramdo-')}.toml"
    if command.startswith("tramdo-authority") and "--directory" not in command:
        command += AUTHORITY
    return command.replace("{folder}", str(folder))


def test_the_story_as_it_is_typed(copy: Path) -> None:
    # As on a box, where our programs are found by their names, and Debian has no `python`.
    names = copy.parent / "bin"
    names.mkdir()
    for program in (copy / ".venv" / "bin").glob("tramdo-*"):
        (names / program.name).symlink_to(program)
    environment = {
        "PATH": f"{names}:/usr/bin:/bin",
        "HOME": str(copy.parent),
        "LANG": "C.UTF-8",
        "ANSIBLE_LOCAL_TEMP": str(copy.parent / "ansible"),
    }
    for step in STORY:
        before = step.before.replace("{folder}", str(copy))
        done = subprocess.run(
            ["sh", "-c", f"{before} && {put(step.command, copy)}"],
            cwd=copy / step.folder,
            env=environment,
            input=step.entered,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode in step.ends, f"{step.command}\n{done.stdout}{done.stderr}"
    for made in ("wiring.svg", "hosts.yml", "broker/mosquitto.conf", "bootfs/user-data"):
        assert (copy / made).stat().st_size > 0


def test_the_story_is_what_the_documents_say() -> None:
    assert [step.command for step in STORY if step.command not in TYPED] == []


@pytest.mark.parametrize("command", TYPED)
def test_each_command_is_run_or_it_is_said_why_not(command: str) -> None:
    if command in {step.command for step in STORY}:
        return
    reasons = [reason for pattern, reason in NOT_RUN if re.fullmatch(pattern, command)]
    assert reasons, f"{TYPED[command]}: {command}"


def test_no_exception_is_for_nothing() -> None:
    idle = [
        pattern
        for pattern, _ in NOT_RUN
        if not any(re.fullmatch(pattern, command) for command in TYPED)
    ]
    assert idle == []


@pytest.mark.parametrize("command", [one for one in TYPED if re.match(r"make( |$)", one)])
def test_make_knows_it(command: str, copy: Path) -> None:
    words = re.sub(r"^make", "make -n", command).replace("-n -s", "-n")
    done = subprocess.run(
        ["sh", "-c", words], cwd=copy, env=dict(os.environ), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
