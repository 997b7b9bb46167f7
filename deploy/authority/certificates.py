"""Floor 2. Wraps `cryptography`: keys, requests, certificates and revocation lists as PEM bytes.

EC P-256 throughout (NIST SP 800-186), signed with SHA-256. The only file that imports
`cryptography`. It decides nothing: names, times and serial numbers are arguments.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from deploy.authority.register import IssuedCertificate, Purpose, Reason
from deploy.authority.rules import AuthorityError, is_address

_USAGE = {
    Purpose.PROBE: [ExtendedKeyUsageOID.CLIENT_AUTH],
    Purpose.SERVER: [ExtendedKeyUsageOID.SERVER_AUTH],
    Purpose.PEER: [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
}
_REASON = {
    Reason.KEY_COMPROMISE: x509.ReasonFlags.key_compromise,
    Reason.SUPERSEDED: x509.ReasonFlags.superseded,
    Reason.CESSATION: x509.ReasonFlags.cessation_of_operation,
}


class SigningRequest(Struct, frozen=True):
    """A signing request with a valid signature: the common name and the public key (PEM)."""

    name: str
    public_key: bytes
    key_sha256: str


class Signer(Struct, frozen=True):
    """An authority's certificate and its decrypted private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def ends(self) -> datetime:
        """When its own certificate ends."""
        return self.certificate.not_valid_after_utc


def new_key(passphrase: bytes | None = None) -> bytes:
    """A new private key, PKCS #8, encrypted when there is a passphrase."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption(),
    )


def new_serial() -> str:
    """A random serial number of 159 bits (RFC 5280 §4.1.2.2), upper-case hexadecimal."""
    return f"{x509.random_serial_number():X}"


def new_request(key: bytes, name: str) -> bytes:
    """A signing request for a probe's name.

    Raises:
        AuthorityError: the key cannot be used.
    """
    private = _private_key(key, None)
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(name))
    return builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def read_request(content: bytes) -> SigningRequest:
    """Parse a signing request and verify its signature, which proves possession of the key.

    What else the request wants (extensions) is not looked at: the authority decides that alone.

    Raises:
        AuthorityError: no request, a wrong signature, another kind of key, no single name.
    """
    try:
        request = x509.load_pem_x509_csr(content)
        public = request.public_key()
        names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise AuthorityError(f"no signing request in PEM: {error}") from error
    if not signed:
        raise AuthorityError("the request's signature is wrong: it was changed on its way")
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
        raise AuthorityError(
            "the request's key is not EC P-256, as `tramdo-authority request` makes"
        )
    if len(names) != 1:
        raise AuthorityError("the request must have one common name: the probe's")
    return SigningRequest(str(names[0].value), _public_pem(public), _fingerprint(public))


def new_authority(
    key: bytes, passphrase: bytes | None, name: str, serial: str, holds: tuple[datetime, datetime]
) -> bytes:
    """The authority's own certificate; it may not issue further authorities (path length 0)."""
    private = _private_key(key, passphrase)
    public = private.public_key()
    builder = (
        _builder(name, name, public, serial, holds)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
    )
    return builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def load_authority(certificate: bytes, key: bytes, passphrase: bytes | None) -> Signer:
    """The authority from its two files.

    Raises:
        AuthorityError: damaged, the passphrase is missing or wrong, or they do not belong together.
    """
    loaded = load_certificate(certificate)
    private = _private_key(key, passphrase)
    if loaded.public_key() != private.public_key():
        raise AuthorityError("the authority's certificate and key do not belong together")
    return Signer(loaded, private)


def load_certificate(content: bytes) -> x509.Certificate:
    """A certificate.

    Raises:
        AuthorityError: it is none.
    """
    try:
        return x509.load_pem_x509_certificate(content)
    except ValueError as error:
        raise AuthorityError(f"no certificate in PEM: {error}") from error


def require_own(certificate: bytes, ca: bytes, key: bytes) -> None:
    """Require that an authority has issued a certificate for this very key.

    Raises:
        AuthorityError: it has not, or one of them cannot be read.
    """
    found, issuer = load_certificate(certificate), load_certificate(ca)
    own = _public_pem(_private_key(key, None).public_key())
    public = found.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey) or _public_pem(public) != own:
        raise AuthorityError("the certificate is for another key")
    try:
        found.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise AuthorityError("the certificate is not of our authority") from error


def new_certificate(
    signer: Signer, record: IssuedCertificate, public_key: bytes, hosts: Sequence[str] = ()
) -> bytes:
    """The certificate that a record of the register describes; `hosts` are a server's names."""
    public = serialization.load_pem_public_key(public_key)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    builder = (
        _builder(
            record.name,
            _common_name(signer.certificate),
            public,
            record.serial,
            (record.not_before, record.not_after),
            signer.key.public_key(),
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_USAGE[record.purpose]), critical=False)
    )
    if hosts:
        names = [_host(host) for host in hosts]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def public_part(key: bytes) -> tuple[bytes, str]:
    """A private key's public key (PEM) and its fingerprint.

    Raises:
        AuthorityError: the key cannot be used.
    """
    public = _private_key(key, None).public_key()
    return _public_pem(public), _fingerprint(public)


def new_revocation_list(
    signer: Signer,
    revoked: Iterable[IssuedCertificate],
    number: int,
    holds: tuple[datetime, datetime],
) -> bytes:
    """The revocation list (RFC 5280 §5) with every record that is marked as revoked."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(signer.certificate.subject)
        .last_update(holds[0])
        .next_update(holds[1])
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()),
            critical=False,
        )
    )
    for record in revoked:
        if record.revoked_at is not None:
            builder = builder.add_revoked_certificate(_revoked(record, record.revoked_at))
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def list_ends(content: bytes) -> datetime | None:
    """The time of a revocation list's next update; None where it has none.

    Raises:
        AuthorityError: it is none.
    """
    try:
        return x509.load_pem_x509_crl(content).next_update_utc
    except ValueError as error:
        raise AuthorityError(f"no revocation list in PEM: {error}") from error


def _revoked(record: IssuedCertificate, revoked_at: datetime) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(int(record.serial, 16))
        .revocation_date(revoked_at)
    )
    # RFC 5280 §5.3.1: unspecified is said by saying nothing.
    if record.reason in _REASON:
        builder = builder.add_extension(x509.CRLReason(_REASON[record.reason]), critical=False)
    return builder.build()


def _builder(
    subject: str,
    issuer: str,
    public: ec.EllipticCurvePublicKey,
    serial: str,
    holds: tuple[datetime, datetime],
    issuer_public: ec.EllipticCurvePublicKey | None = None,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(subject))
        .issuer_name(_subject(issuer))
        .public_key(public)
        .serial_number(int(serial, 16))
        .not_valid_before(holds[0])
        .not_valid_after(holds[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public or public),
            critical=False,
        )
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private_key(content: bytes, passphrase: bytes | None) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(content, passphrase)
    except TypeError as error:
        # cryptography's word for a passphrase that is missing, or given for an open key.
        raise AuthorityError(f"the key and its passphrase: {error}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise AuthorityError(f"no key in PEM, or a wrong passphrase: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise AuthorityError("the key is not EC P-256")
    return key


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _host(host: str) -> x509.GeneralName:
    if is_address(host):
        return x509.IPAddress(ipaddress.ip_address(host))
    return x509.DNSName(host)


def _public_pem(public: ec.EllipticCurvePublicKey) -> bytes:
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _fingerprint(public: ec.EllipticCurvePublicKey) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(
        public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return digest.finalize().hex()
