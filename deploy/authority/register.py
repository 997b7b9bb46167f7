"""Floor 1. The authority's register: every certificate that it has issued, as JSON.

Records are only added or marked as revoked, so that no serial number is lost. The register must be
written before a certificate is handed out: one that is not in it cannot be revoked.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, structs

from deploy.authority.rules import AuthorityError, whole_days
from wire.decoding import decode_json


class Purpose(StrEnum):
    """What a certificate is for: its extended key usage (RFC 5280 §4.2.1.12)."""

    PROBE = "probe"
    SERVER = "server"
    # A node of a cluster: a server that is also its peers' client.
    PEER = "peer"


class Reason(StrEnum):
    """Why one was revoked: those of RFC 5280 §5.3.1 that a fleet needs."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "key_compromise"
    SUPERSEDED = "superseded"
    CESSATION = "cessation_of_operation"


class CertificateStatus(StrEnum):
    """The status of a certificate at a given time."""

    VALID = "valid"
    # It still holds, and a newer one of the same name does too.
    REPLACED = "replaced"
    EXPIRED = "expired"
    REVOKED = "revoked"


class IssuedCertificate(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One certificate. `serial` is upper-case hexadecimal, which no probe's name can be."""

    serial: Annotated[str, Meta(pattern="^[0-9A-F]{1,40}$")]
    name: str
    purpose: Purpose
    key_sha256: str
    not_before: datetime
    not_after: datetime
    revoked_at: datetime | None = None
    reason: Reason | None = None

    def standing(self, now: datetime) -> CertificateStatus:
        """Its status now, without regard to later certificates of the same name."""
        if self.revoked_at is not None:
            return CertificateStatus.REVOKED
        return CertificateStatus.EXPIRED if now >= self.not_after else CertificateStatus.VALID


class Register(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All certificates in the order of issue, and the number of the last revocation list."""

    list_number: int = 0
    issued: list[IssuedCertificate] = []


class CertificateRow(Struct, frozen=True, kw_only=True):
    """A line of `tramdo-authority list`; `days_left` is negative after the end."""

    name: str
    purpose: str
    serial: str | None
    standing: CertificateStatus
    not_after: datetime
    days_left: int


def decode(content: bytes) -> Register:
    """The register in a file's bytes.

    Raises:
        AuthorityError: they are not one.
    """
    try:
        return decode_json(content, Register)
    except msgspec.MsgspecError as error:
        raise AuthorityError(f"the register is damaged: {error}") from error


def encode(register: Register) -> bytes:
    """The register as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(register), indent=2) + b"\n"


def certificates_of(register: Register, name: str) -> list[IssuedCertificate]:
    """A probe's certificates that are not revoked, expired ones too, oldest first."""
    return [
        record
        for record in register.issued
        if record.name == name and record.purpose is Purpose.PROBE and record.revoked_at is None
    ]


def refuse_first(register: Register, name: str, now: datetime) -> None:
    """Refuse a first certificate to a probe that has one: two boxes of one name are a mistake.

    Raises:
        AuthorityError: it has one that holds.
    """
    for record in certificates_of(register, name):
        if record.standing(now) is CertificateStatus.VALID:
            raise AuthorityError(
                f"{name} has a certificate until {record.not_after:%Y-%m-%d}: "
                "renew it, or revoke it first"
            )


def refuse_renewal(register: Register, name: str) -> None:
    """Refuse to renew for a name that has no certificate, or only revoked ones.

    Raises:
        AuthorityError: the name holds no certificate.
    """
    if not certificates_of(register, name):
        raise AuthorityError(f"{name} holds no certificate to renew: sign its request instead")


def refuse_key(register: Register, key_sha256: str) -> None:
    """Refuse a key of a revoked certificate, under any name: its holder could return.

    Raises:
        AuthorityError: it was.
    """
    for record in register.issued:
        if record.key_sha256 == key_sha256 and record.revoked_at is not None:
            raise AuthorityError(
                f"this key was revoked with {record.serial} ({record.name}): make a new one"
            )


def with_issued(register: Register, record: IssuedCertificate) -> Register:
    """The register with one more certificate."""
    return structs.replace(register, issued=[*register.issued, record])


def with_revoked(
    register: Register, name_or_serial: str, reason: Reason, now: datetime
) -> Register:
    """The register with a name's every certificate, or the one of a serial number, revoked.

    Raises:
        AuthorityError: there is nothing to revoke.
    """
    chosen = {record.serial for record in _matching(register, name_or_serial)}
    if not chosen:
        raise AuthorityError(f"no certificate of {name_or_serial!r} is left to revoke")
    return structs.replace(
        register,
        issued=[
            structs.replace(record, revoked_at=now, reason=reason)
            if record.serial in chosen
            else record
            for record in register.issued
        ],
    )


def rows(register: Register, now: datetime) -> list[CertificateRow]:
    """The status of each certificate: valid ones first, the next to expire at the top."""
    newest = {(record.name, record.purpose): record.serial for record in register.issued}
    found = []
    for record in register.issued:
        standing = record.standing(now)
        if (
            standing is CertificateStatus.VALID
            and newest[record.name, record.purpose] != record.serial
        ):
            standing = CertificateStatus.REPLACED
        ends = record.not_after
        found.append(row(record.name, record.purpose, record.serial, standing, ends, now))
    return sorted(
        found, key=lambda row: (row.standing is not CertificateStatus.VALID, row.not_after)
    )


def row(
    name: str,
    purpose: str,
    serial: str | None,
    standing: CertificateStatus,
    ends: datetime,
    now: datetime,
) -> CertificateRow:
    """A line of the list."""
    return CertificateRow(
        name=name,
        purpose=purpose,
        serial=serial,
        standing=standing,
        not_after=ends,
        days_left=whole_days(ends, now),
    )


def _matching(register: Register, name_or_serial: str) -> Iterator[IssuedCertificate]:
    for record in register.issued:
        if record.revoked_at is None and name_or_serial in (record.name, record.serial):
            yield record
