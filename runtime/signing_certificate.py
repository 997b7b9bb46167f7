"""Floor 2. Certificates that sign results: which an authority issued, and ES256 signatures by them.

Wraps `cryptography`. For the centre and for whoever checks evidence; a probe signs by
`runtime.libcrypto`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wire.signature import decode_signature, key_id

_ALGORITHM = ec.ECDSA(hashes.SHA256())


class CertificateError(ValueError):
    """A certificate does not count; the text says why."""


class Authorities:
    """The authorities whose certificates count.

    Args:
        pem: their certificates, one or more in PEM.

    Raises:
        CertificateError: there is none.
    """

    def __init__(self, pem: bytes) -> None:
        try:
            self._certificates = x509.load_pem_x509_certificates(pem)
        except ValueError as error:
            raise CertificateError(f"no certificate in PEM: {error}") from error

    def have_issued(self, certificate: x509.Certificate) -> bool:
        """Whether one of them signed a certificate; its dates are not looked at."""
        return any(_issued(certificate, issuer) for issuer in self._certificates)


class SigningCertificate:
    """A client certificate of P-256 of one name.

    `name` is the probe's, `key` names it in signature blocks; it is in force from `begins` to
    `ends`.

    Raises:
        CertificateError: it is none of these.
    """

    def __init__(self, der: bytes) -> None:
        try:
            self._certificate = certificate = x509.load_der_x509_certificate(der)
            public = certificate.public_key()
            names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound) as error:
            raise CertificateError(f"no client certificate: {error}") from error
        if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
            raise CertificateError("its key is not EC P-256")
        if len(names) != 1 or ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
            raise CertificateError("it is no client's, or has not one common name")
        self._public = public
        self.der = der
        self.name = str(names[0].value)
        self.key = key_id(der)
        self.begins = certificate.not_valid_before_utc
        self.ends = certificate.not_valid_after_utc

    def require_issued_by(self, authorities: Authorities, name: str) -> None:
        """Require that it is of an authority, and a probe's.

        Raises:
            CertificateError: it is not.
        """
        if self.name != name:
            raise CertificateError(f"it is `{self.name}`'s and not `{name}`'s")
        if not authorities.have_issued(self._certificate):
            raise CertificateError("it is of another authority")

    def is_in_force(self, times: Sequence[datetime]) -> bool:
        """Whether it was in force at one of these times."""
        return any(self.begins <= at <= self.ends for at in times)

    def verifies(self, text: bytes, signature: str) -> bool:
        """Whether its key made this signature of a text (`wire.signature.signed_text`)."""
        try:
            raw = decode_signature(signature)
            half = len(raw) // 2
            r, s = (int.from_bytes(part, "big") for part in (raw[:half], raw[half:]))
            self._public.verify(utils.encode_dss_signature(r, s), text, _ALGORITHM)
        except (InvalidSignature, ValueError):
            return False
        return True


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
