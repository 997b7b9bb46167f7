"""The command `tramdo-authority`: from the first key to the revoked certificate; its exit codes."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from cryptography import x509

from deploy.authority.cli import ENDING, OK, REFUSED, _parser, main

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


def test_from_the_first_key_to_the_revoked_certificate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ["-d", str(tmp_path / "authority")]
    secret = tmp_path / "passphrase"
    secret.touch(0o600)
    secret.write_text("ba con ga\n", encoding="utf-8")
    unlock = [*folder, "--passphrase-file", str(secret)]
    key, csr = str(tmp_path / "probe.key"), str(tmp_path / "probe.csr")
    assert main(["init", *unlock, "--name", "Trạm đo"]) == OK
    assert main(["request", "phu-thong-01", "--key", key, "--csr", csr]) == OK
    capsys.readouterr()
    assert main(["sign", *unlock, csr]) == OK
    assert Path(capsys.readouterr().out.strip()).name == "phu-thong-01.pem"
    assert main(["sign", *unlock, csr]) == REFUSED
    assert "refused: phu-thong-01 has a certificate" in capsys.readouterr().err
    assert main(["renew", *unlock, csr, "--days", "20"]) == OK
    assert main(["server-cert", *unlock, "broker.example.vn"]) == OK
    assert main(["list", *folder, "--within", "10"]) == OK
    assert main(["list", *folder, "--within", "30"]) == ENDING
    capsys.readouterr()
    assert main(["list", *folder, "--json", "--within", "30"]) == ENDING
    (ending,) = json.loads(capsys.readouterr().out)
    assert (ending["name"], ending["days_left"]) == ("phu-thong-01", 19)
    assert main(["revoke", *unlock, "phu-thong-01", "--reason", "key_compromise"]) == OK
    assert "revoked 2;" in capsys.readouterr().out
    listed = x509.load_pem_x509_crl((tmp_path / "authority" / "crl.pem").read_bytes())
    assert len(list(listed)) == 2
    assert main(["crl", *unlock]) == OK
    assert main(["list", *folder]) == OK
    assert "revoked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sign", "-d", "nowhere", "x.csr"], "refused: nowhere/ca.pem cannot be read"),
        (["list", "-d", "nowhere"], "refused: nowhere/ca.pem cannot be read"),
        (["init", "-d", "a", "--name", ""], "refused: an authority's name has"),
        (["init", "-d", "a", "--passphrase-file", "none"], "refused: the passphrase file: none"),
        (["request", "Phủ Thông", "--key", "k", "--csr", "r"], "is no probe's name"),
        (["request", "a", "--key", "no/k", "--csr", "r"], "refused: no/k cannot be written"),
        (["request", "a", "--key", "k", "--csr", "r", "--group", "no-such"], "cannot be written"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == REFUSED
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["sing"], ["sign", "x", "--days", "0"], ["sign", "x", "--days", "99999999"]]
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


# The page


def test_the_page_names_every_command_and_every_line_of_it_is_right() -> None:
    lines = [
        shlex.split(line, comments=True)[1:]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("tramdo-authority ")
    ]
    for line in lines:
        _parser().parse_args(line)
    named = {line[0] for line in lines} | set(re.findall(r"`([a-z-]+)`", PAGE.read_text("utf-8")))
    (commands,) = (
        action.choices for action in _parser()._actions if isinstance(action.choices, dict)
    )
    assert set(commands) <= named
