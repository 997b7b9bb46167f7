"""What is locked, listed once; and an audit that could not ask is never taken for a clean one."""

from __future__ import annotations

import pytest

from deploy.supply_chain import (
    FOUND,
    OK,
    UNKNOWN,
    AuditedPackage,
    AuditReport,
    Vulnerability,
    audit_summary,
)
from deploy.supply_chain import requirements as listed

LOCK = """
cffi==2.1.1 ; python_version > '3' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via cryptography
msgspec==0.22.0 \\
    --hash=sha256:cc
    # via tramdo (pyproject.toml)
"""


def test_a_package_of_two_locks_is_listed_once_with_its_hashes() -> None:
    assert listed([LOCK, LOCK]) == [
        "cffi==2.1.1 ; python_version > '3' --hash=sha256:aa --hash=sha256:bb",
        "msgspec==0.22.0 --hash=sha256:cc",
    ]


GOOD = AuditedPackage("msgspec", "0.22.0")
BAD = AuditedPackage("cffi", "2.1.1", [Vulnerability("PYSEC-0000-0", ["2.1.2"])])
SKIPPED = AuditedPackage("paho-mqtt", skip_reason="could not be audited")


@pytest.mark.parametrize(
    ("packages", "code", "sentence"),
    [
        ([GOOD], OK, "1 of 1 packages audited"),
        ([GOOD, BAD], FOUND, "cffi 2.1.1: PYSEC-0000-0 (mended in 2.1.2)"),
        ([BAD, SKIPPED], FOUND, "1 of 2 packages audited"),
        ([GOOD, SKIPPED], UNKNOWN, "no answer about 1 of them, for example:"),
        ([], UNKNOWN, "0 of 0 packages audited"),
    ],
)
def test_the_verdict(packages: list[AuditedPackage], code: int, sentence: str) -> None:
    lines, found = audit_summary(AuditReport(packages))
    assert found == code
    assert sentence in lines
