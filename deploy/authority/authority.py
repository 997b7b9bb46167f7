"""Floor 3. The operations of a certificate authority on its folder: sign, renew, revoke, list.

The register is written before a certificate is handed out, so that each can be revoked. Every
operation takes the time as an argument, so that a test can issue a certificate that has expired.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import structs

from deploy.authority import certificates, folder, register, rules
from deploy.authority.certificates import Signer, SigningRequest
from deploy.authority.register import (
    CertificateRow,
    CertificateStatus,
    IssuedCertificate,
    Purpose,
    Reason,
    Register,
)
from deploy.authority.rules import AuthorityError


def init(path: Path, name: str, passphrase: bytes | None, now: datetime) -> None:
    """Create an authority: key, certificate, empty register, empty revocation list.

    Raises:
        AuthorityError: there is one already, or the folder cannot be written.
    """
    name = rules.authority_name(name)
    folder.make(path)
    with folder.locked(path):
        if (path / "ca.key").exists():
            raise AuthorityError(f"{path} has an authority: every probe trusts it, so it stays")
        now = rules.in_utc(now)
        key = certificates.new_key(passphrase)
        holds = (now - rules.BACKDATE, now + rules.AUTHORITY_LIFETIME)
        own = certificates.new_authority(key, passphrase, name, certificates.new_serial(), holds)
        folder.make(path / "probes")
        folder.make(path / "servers")
        # The key comes last: with it, the authority is there.
        folder.write(path / "ca.pem", own, folder.PUBLIC)
        signer = certificates.load_authority(own, key, passphrase)
        _write_list(path, signer, Register(), now)
        folder.write(path / "ca.key", key, folder.SECRET)


def request(key_path: Path, request_path: Path, name: str, group: str | None) -> bool:
    """Create a private key, unless there is one, and a certificate signing request, on the probe.

    Returns:
        Whether the key is new.

    Raises:
        AuthorityError: the name is not a probe's, or a file cannot be used.
    """
    name = rules.probe_name(name)
    is_new = not key_path.exists()
    if is_new:
        mode = folder.SECRET if group is None else folder.GROUP_SECRET
        folder.write(key_path, certificates.new_key(), mode, group=group)
    signing_request = certificates.new_request(folder.read_secret(key_path), name)
    folder.write(request_path, signing_request, folder.PUBLIC)
    return is_new


class Authority:
    """An authority whose certificate and key have been loaded.

    Args:
        path: its folder.
        passphrase: its key's, where it has one.

    Raises:
        AuthorityError: it cannot be opened; so do all methods where they refuse.
    """

    def __init__(self, path: Path, passphrase: bytes | None = None) -> None:
        self._path = path
        self._signer: Signer = certificates.load_authority(
            folder.read(path / "ca.pem"), folder.read_secret(path / "ca.key"), passphrase
        )

    def sign(
        self, request_pem: bytes, now: datetime, lifetime: timedelta = rules.PROBE_LIFETIME
    ) -> Path:
        """Issue a probe's first certificate from its request; returns the certificate's path."""
        return self._certify(request_pem, now, lifetime, renewal=False)

    def renew(
        self, request_pem: bytes, now: datetime, lifetime: timedelta = rules.PROBE_LIFETIME
    ) -> Path:
        """Issue a further certificate to a probe; the earlier one stays valid until it expires."""
        return self._certify(request_pem, now, lifetime, renewal=True)

    def server(
        self,
        hosts: Sequence[str],
        now: datetime,
        lifetime: timedelta = rules.SERVER_LIFETIME,
        *,
        peer: bool = False,
    ) -> Path:
        """Create a server's key and certificate for its names; returns the certificate's path.

        With `peer` it holds for a client too: nodes of a cluster that connect to each other.
        """
        hosts = [rules.host_name(host) for host in hosts]
        purpose = Purpose.PEER if peer else Purpose.SERVER
        key = certificates.new_key()
        public_key, fingerprint = certificates.public_part(key)
        path = self._path / "servers" / f"{hosts[0]}.pem"
        with folder.locked(self._path):
            record = self._record(hosts[0], purpose, fingerprint, now, lifetime)
            self._add_to_register(record)
            folder.write(path.with_suffix(".key"), key, folder.SECRET)
            issued = certificates.new_certificate(self._signer, record, public_key, hosts)
            folder.write(path, issued, folder.PUBLIC)
        return path

    def revoke(self, name_or_serial: str, reason: Reason, now: datetime) -> int:
        """Revoke all certificates of a name, or one by its serial number; returns how many."""
        now = rules.in_utc(now)
        with folder.locked(self._path):
            before = self._register()
            after = register.with_revoked(before, name_or_serial, reason, now)
            self._write_list(after, now)
        changed = zip(before.issued, after.issued, strict=True)
        return sum(old != new for old, new in changed)

    def make_list(self, now: datetime) -> Path:
        """Renew the revocation list before it expires; returns its path."""
        with folder.locked(self._path):
            self._write_list(self._register(), rules.in_utc(now))
        return self._path / "crl.pem"

    def _certify(
        self, request_pem: bytes, now: datetime, lifetime: timedelta, *, renewal: bool
    ) -> Path:
        signing_request: SigningRequest = certificates.read_request(request_pem)
        name = rules.probe_name(signing_request.name)
        path = self._path / "probes" / f"{name}.pem"
        with folder.locked(self._path):
            known = self._register()
            if renewal:
                register.refuse_renewal(known, name)
            else:
                register.refuse_first(known, name, now)
            register.refuse_key(known, signing_request.key_sha256)
            record = self._record(name, Purpose.PROBE, signing_request.key_sha256, now, lifetime)
            self._add_to_register(record)
            issued = certificates.new_certificate(self._signer, record, signing_request.public_key)
            folder.write(path, issued, folder.PUBLIC)
        return path

    def _record(
        self, name: str, purpose: Purpose, fingerprint: str, now: datetime, lifetime: timedelta
    ) -> IssuedCertificate:
        begins, ends = rules.validity(rules.in_utc(now), lifetime, self._signer.ends)
        return IssuedCertificate(
            serial=certificates.new_serial(),
            name=name,
            purpose=purpose,
            key_sha256=fingerprint,
            not_before=begins,
            not_after=ends,
        )

    def _register(self) -> Register:
        return read_register(self._path)

    def _add_to_register(self, record: IssuedCertificate) -> None:
        after = register.with_issued(self._register(), record)
        folder.write(self._path / "register.json", register.encode(after), folder.PUBLIC)

    def _write_list(self, known: Register, now: datetime) -> None:
        _write_list(self._path, self._signer, known, now)


def read_register(path: Path) -> Register:
    """The register in an authority's folder: no key is needed to read it.

    Raises:
        AuthorityError: it cannot be read.
    """
    return register.decode(folder.read(path / "register.json"))


def rows(path: Path, now: datetime) -> list[CertificateRow]:
    """Every certificate, the authority's own and the revocation list; no key is needed.

    Raises:
        AuthorityError: a file cannot be read.
    """
    own = certificates.load_certificate(folder.read(path / "ca.pem")).not_valid_after_utc
    found = [_row("ca.pem", "authority", own, now)]
    ends = certificates.list_ends(folder.read(path / "crl.pem"))
    if ends is not None:
        found.append(_row("crl.pem", "revocation_list", ends, now))
    return found + register.rows(read_register(path), now)


def _row(name: str, purpose: str, ends: datetime, now: datetime) -> CertificateRow:
    standing = CertificateStatus.EXPIRED if now >= ends else CertificateStatus.VALID
    return register.row(name, purpose, None, standing, ends, now)


def _write_list(path: Path, signer: Signer, known: Register, now: datetime) -> None:
    """Write the register, then the list: the list can be made from the register again."""
    known = structs.replace(known, list_number=known.list_number + 1)
    folder.write(path / "register.json", register.encode(known), folder.PUBLIC)
    holds = (now - rules.BACKDATE, now + rules.REVOCATION_LIST_LIFETIME)
    content = certificates.new_revocation_list(signer, known.issued, known.list_number, holds)
    folder.write(path / "crl.pem", content, folder.PUBLIC)
