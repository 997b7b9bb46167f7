"""Floor 2. The key that signs published months: ECDSA P-256 with SHA-256, in a file of mode 0600.

A signature is what `openssl dgst -sha256 -verify` reads. Lines and targets have identifiers that
are made with the key (HMAC-SHA256), so that they stay the same from month to month and nobody finds
a name by trying names.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

_IDENTIFIER_DIGITS = 16


class SigningKeyError(Exception):
    """The key cannot be used; the text is a sentence for users."""


class SigningKey:
    """A private key. `key_id` is the SHA-256 of its public half (DER), in hex, shortened."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private
        public = private.public_key()
        self.public_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.key_id = hashlib.sha256(der).hexdigest()[:_IDENTIFIER_DIGITS]
        secret = private.private_numbers().private_value.to_bytes(32, "big")
        self._secret = hashlib.sha256(b"tramdo open data identifiers" + secret).digest()

    def sign(self, content: bytes) -> bytes:
        """The detached signature (DER) of some bytes."""
        return self._private.sign(content, ec.ECDSA(hashes.SHA256()))

    def identifier(self, name: str) -> str:
        """What stands for a name."""
        digest = hmac.digest(self._secret, name.encode(), "sha256")
        return digest.hex()[:_IDENTIFIER_DIGITS]


def load_or_create(path: Path) -> SigningKey:
    """The key in a file; made where there is no file.

    Raises:
        SigningKeyError: it cannot be read or written, others may read it, or it is no such key.
    """
    try:
        if not path.exists():
            _create(path)
        if path.stat().st_mode & 0o077:
            raise SigningKeyError(f"{path}: others may read it; chmod 600")
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise SigningKeyError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise SigningKeyError(f"{path}: not a private key without a passphrase") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise SigningKeyError(f"{path}: not a P-256 key")
    return SigningKey(key)


def _create(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # Nobody reads it while it is written, and half a key is never there under its name.
    partial = path.with_name(f".{path.name}.new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
