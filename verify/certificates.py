"""Floor 2. Certificates, the authority that issued them, and ES256 signatures by them.

Wraps `cryptography`.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

from verify.findings import BundleError

_SIGNATURE_BYTES = 64


class Authority:
    """The authorities of a PEM file. Raises BundleError: it has none."""

    def __init__(self, pem: bytes) -> None:
        try:
            self._certificates = x509.load_pem_x509_certificates(pem)
        except ValueError as error:
            raise BundleError(f"the authority is no certificate in PEM: {error}") from error

    @property
    def fingerprints(self) -> list[str]:
        """The SHA-256 of each, as `openssl x509 -fingerprint -sha256` has it, without colons."""
        der = serialization.Encoding.DER
        return [sha256(one.public_bytes(der)).hexdigest() for one in self._certificates]

    def has_issued(self, certificate: x509.Certificate) -> bool:
        """Whether one of them has signed a certificate."""
        return any(_issued(certificate, issuer) for issuer in self._certificates)


class Certificate:
    """A probe's certificate, of base64 of its DER. Raises BundleError: it is none of EC P-256."""

    def __init__(self, text: object) -> None:
        try:
            der = base64.b64decode(str(text), validate=True)
            self._certificate = x509.load_der_x509_certificate(der)
            public = self._certificate.public_key()
            names = self._certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error) as error:
            raise BundleError(f"a certificate cannot be read: {error}") from error
        if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
            raise BundleError("a certificate's key is not EC P-256")
        self._public = public
        self.key = sha256(der).hexdigest()[:16]
        self.name = str(names[0].value) if len(names) == 1 else ""
        self.begins = self._certificate.not_valid_before_utc
        self.ends = self._certificate.not_valid_after_utc

    def is_of(self, authority: Authority) -> bool:
        """Whether the authority has issued it."""
        return authority.has_issued(self._certificate)

    def is_in_force(self, at: datetime) -> bool:
        """Whether it was in force at a time."""
        return self.begins <= at <= self.ends

    def verifies(self, text: bytes, signature: str) -> bool:
        """Whether its key made this signature (R and S in base64url) of a text."""
        try:
            raw = base64.urlsafe_b64decode(signature + "==")
            if len(raw) != _SIGNATURE_BYTES:
                return False
            r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
            self._public.verify(utils.encode_dss_signature(r, s), text, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
