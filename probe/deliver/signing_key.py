"""Floor 2. The key that signs results: that of the probe's client certificate.

Both files are read when the box connects, so that a renewed certificate is taken without a restart.
"""

from __future__ import annotations

import base64
from pathlib import Path

from runtime import certificate, libcrypto, secret_file
from runtime.libcrypto import LibcryptoError
from wire.signature import KeyId, encode_signature, key_id, raw_signature


class SigningKeyError(Exception):
    """The key cannot sign results; the text says why."""


class SigningKey:
    """A client certificate and its private key.

    `key` names the certificate in signature blocks, `certificate` is its DER in base64.

    Raises:
        SigningKeyError: a file cannot be read or used, the two do not belong together, or the key
            is not of P-256.
    """

    def __init__(self, certificate_file: Path, key_file: Path) -> None:
        try:
            secret_file.require_private(key_file)
            pem = certificate_file.read_bytes()
            self._private = libcrypto.PrivateKey(key_file.read_bytes())
        except (OSError, LibcryptoError) as error:
            raise SigningKeyError(str(error)) from error
        der = certificate.der(pem)
        if der is None or not self._private.belongs_to(pem):
            # Between the two writes of a renewal too: what it signed would match no certificate.
            raise SigningKeyError(f"{certificate_file} holds no certificate for {key_file}")
        self.key: KeyId = key_id(der)
        self.certificate = base64.b64encode(der).decode("ascii")
        try:
            self._signature(b"")
        except (LibcryptoError, ValueError) as error:
            # Found out here, and not with the first result.
            raise SigningKeyError(f"{key_file} is no key of P-256: {error}") from error

    def sign(self, text: bytes) -> str | None:
        """The signature of a text, as it travels; None where the library fails."""
        try:
            return self._signature(text)
        except (LibcryptoError, ValueError):
            return None

    def _signature(self, text: bytes) -> str:
        return encode_signature(raw_signature(self._private.sign(text)))
