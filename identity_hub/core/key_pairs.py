"""A private key and its certificate, in two PEM files: whether they can be used together. Knows no protocol."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key


class Unusable(ValueError):
    """The pair cannot be used; `str()` says why, as the end of a sentence that begins with the files' names."""


def read(key_file: str, certificate_file: str) -> x509.Certificate:
    """The pair's certificate. Raises `Unusable`."""
    key_pem, certificate_pem = _read(key_file), _read(certificate_file)
    try:
        key = load_pem_private_key(key_pem, password=None)
    except (TypeError, ValueError):  # TypeError: it has a password
        raise Unusable("hold no pair: the key is no PEM key without a password.") from None
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError:
        raise Unusable("hold no pair: the certificate is no PEM certificate.") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < 2048:
        raise Unusable("hold no usable pair: the key must be an RSA key of 2048 bits or more.")
    if key.public_key() != certificate.public_key():
        raise Unusable("do not belong together: the certificate is for another key.")
    return certificate


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError:
        raise Unusable(f"cannot be read: {file}." if file else "must be given together.") from None
