"""A private key and its certificate: made, or read from two PEM files that belong together. Knows no protocol."""

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from .certificates import COMPLAINTS

BITS = 2048
LIFE = timedelta(days=3650)


class Unusable(ValueError):
    """The pair cannot be used; `str()` says why, as the end of a sentence that begins with the files' names."""


def make(name: str, at: datetime) -> tuple[str, str]:
    """A new RSA key and a certificate that it signed itself, in PEM. `name` is that of nobody in particular."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode(), certificate_for(key, name, at).decode()


def certificate_for(key: rsa.RSAPrivateKey, name: str, at: datetime) -> bytes:
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signed = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + LIFE)
        .sign(key, SHA256())
    )
    return signed.public_bytes(Encoding.PEM)


def read(key_file: str, certificate_file: str) -> x509.Certificate:
    """The pair's certificate. Raises `Unusable`."""
    key_pem, certificate_pem = _read(key_file), _read(certificate_file)
    try:
        key = load_pem_private_key(key_pem, password=None)
    except (TypeError, ValueError):  # TypeError: it has a password
        raise Unusable("hold no pair: the key is no PEM key without a password.") from None
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        certified = certificate.public_key()
    except COMPLAINTS:
        raise Unusable("hold no pair: the certificate is no PEM certificate.") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < 2048:
        raise Unusable("hold no usable pair: the key must be an RSA key of 2048 bits or more.")
    if key.public_key() != certified:
        raise Unusable("do not belong together: the certificate is for another key.")
    return certificate


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError:
        raise Unusable(f"cannot be read: {file}." if file else "must be given together.") from None
