"""Floor 2. Wraps `cryptography`: documents signed by Ed25519 (RFC 8032).

A signed document is one JSON object, `{"payload": base64, "signature": base64}`: one request
fetches both, so that they always match, and a shell with `openssl` can verify it at a first boot
 (deploy/image/first-boot).
"""

from __future__ import annotations

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from msgspec import Struct

from wire.decoding import decode_json


class SignatureError(Exception):
    """A document or a key is not what it should be; the text says what."""


class SignedDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """A payload and its signature (bytes are base64 in JSON)."""

    payload: bytes
    signature: bytes


def new_key() -> tuple[bytes, bytes]:
    """A new release key: private (PKCS #8) and public part, PEM."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


def sign(payload: bytes, private_pem: bytes) -> bytes:
    """A signed document.

    Raises:
        SignatureError: the key is not an Ed25519 key.
    """
    try:
        key = serialization.load_pem_private_key(private_pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureError(f"the release key cannot be used: {error}") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise SignatureError("the release key is not Ed25519: make one by `tramdo-fleet key`")
    return msgspec.json.encode(SignedDocument(payload, key.sign(payload)))


def verified(document: bytes, public_pem: bytes) -> bytes:
    """Verify a signed document; returns its payload.

    Raises:
        SignatureError: not a signed document, another key's, or changed on its way.
    """
    signed = _read(document)
    try:
        key = serialization.load_pem_public_key(public_pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SignatureError(f"the public release key cannot be read: {error}") from error
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise SignatureError("the public release key is not Ed25519")
    try:
        key.verify(signed.signature, signed.payload)
    except InvalidSignature as error:
        raise SignatureError("the signature is wrong: signed by another key, or changed") from error
    return signed.payload


def payload_of(document: bytes) -> bytes:
    """The payload without verification: for the centre, which reads its own file.

    Raises:
        SignatureError: not a signed document.
    """
    return _read(document).payload


def _read(document: bytes) -> SignedDocument:
    try:
        signed: SignedDocument = decode_json(document, SignedDocument)
    except msgspec.MsgspecError as error:
        raise SignatureError(f"not a signed document: {error}") from error
    return signed
