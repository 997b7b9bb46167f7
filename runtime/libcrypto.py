"""Floor 2. OpenSSL's libcrypto by ctypes: ECDSA signatures with SHA-256.

Python's TLS has the library loaded already, so a signature costs 0.8 MB of memory and 40 us; the
package `cryptography` would cost 9 MB (decision 115). The functions have been the same since
OpenSSL 1.1.1 (EVP_DigestSign(3), PEM_read_bio_PrivateKey(3)). The only file that imports ctypes for
it.
"""

from __future__ import annotations

import ctypes
from ctypes import c_char_p, c_int, c_size_t, c_void_p

# That of Debian 12 and newer, and the one before.
_NAMES = ("libcrypto.so.3", "libcrypto.so.1.1")
# A signature on P-256 takes 72 bytes of DER at most; other keys' are longer and not wanted.
_MOST_BYTES = 600
# Not null: without a password OpenSSL would ask the terminal for one.
_NO_PASSWORD = b""
_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "BIO_new_mem_buf": (c_void_p, [c_char_p, c_int]),
    "BIO_free": (c_int, [c_void_p]),
    "PEM_read_bio_PrivateKey": (c_void_p, [c_void_p, c_void_p, c_void_p, c_char_p]),
    "PEM_read_bio_X509": (c_void_p, [c_void_p, c_void_p, c_void_p, c_char_p]),
    "X509_check_private_key": (c_int, [c_void_p, c_void_p]),
    "X509_free": (None, [c_void_p]),
    "EVP_PKEY_free": (None, [c_void_p]),
    "EVP_sha256": (c_void_p, []),
    "EVP_MD_CTX_new": (c_void_p, []),
    "EVP_MD_CTX_free": (None, [c_void_p]),
    "EVP_DigestSignInit": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
    "EVP_DigestSign": (
        c_int,
        [c_void_p, c_char_p, ctypes.POINTER(c_size_t), c_char_p, c_size_t],
    ),
    "ERR_clear_error": (None, []),
}


class LibcryptoError(Exception):
    """The library is not there, or it refuses; the text says what."""


def _library() -> ctypes.CDLL:
    for name in _NAMES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        for function, (returned, arguments) in _SIGNATURES.items():
            found = getattr(library, function)
            found.restype, found.argtypes = returned, arguments
        return library
    raise LibcryptoError(f"OpenSSL's library is not there ({' or '.join(_NAMES)})")


class PrivateKey:
    """A private key; freed with the object. For one thread at a time.

    Raises:
        LibcryptoError: the library is not there, or the text holds no key without a password.
    """

    def __init__(self, pem: bytes) -> None:
        self._key: int | None = None
        self._library = library = _library()
        source = library.BIO_new_mem_buf(pem, len(pem))
        self._key = library.PEM_read_bio_PrivateKey(source, None, None, _NO_PASSWORD)
        library.BIO_free(source)
        if not self._key:
            library.ERR_clear_error()
            raise LibcryptoError("no private key in PEM, or one with a password")

    def __del__(self) -> None:
        if self._key:
            self._library.EVP_PKEY_free(self._key)

    def belongs_to(self, certificate_pem: bytes) -> bool:
        """Whether the first certificate of a PEM text is for this key."""
        library = self._library
        source = library.BIO_new_mem_buf(certificate_pem, len(certificate_pem))
        certificate = library.PEM_read_bio_X509(source, None, None, _NO_PASSWORD)
        library.BIO_free(source)
        same = bool(certificate) and library.X509_check_private_key(certificate, self._key) == 1
        if certificate:
            library.X509_free(certificate)
        library.ERR_clear_error()
        return same

    def sign(self, text: bytes) -> bytes:
        """The signature over SHA-256 of a text, in DER.

        Raises:
            LibcryptoError: the key cannot sign.
        """
        library = self._library
        signature, length = ctypes.create_string_buffer(_MOST_BYTES), c_size_t(_MOST_BYTES)
        context = library.EVP_MD_CTX_new()
        try:
            made = (
                library.EVP_DigestSignInit(context, None, library.EVP_sha256(), None, self._key)
                == 1
                and library.EVP_DigestSign(
                    context, signature, ctypes.byref(length), text, len(text)
                )
                == 1
            )
        finally:
            library.EVP_MD_CTX_free(context)
        if not made:
            library.ERR_clear_error()
            raise LibcryptoError("the key cannot sign")
        return signature.raw[: length.value]
