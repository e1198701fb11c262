"""X.509 certificates that somebody else made: read as a whole, or not at all. Knows no document that holds them."""

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import Certificate as X509
from cryptography.x509 import InvalidVersion, load_der_x509_certificate, load_pem_x509_certificates

MIN_RSA_BITS = 2048
MIN_CURVE_BITS = 256


class Unreadable(ValueError):
    """These bytes are no certificate that anything could be told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """`fingerprint` is SHA-256 of its DER bytes, `key` of its public key, in hexadecimal."""

    fingerprint: str
    key: str
    subject: str
    begins: datetime
    ends: datetime
    pem: str = field(repr=False)
    weakness: str
    """What is wrong with its key, as the middle of a sentence; "" for one by which a signature proves something."""


# cryptography reads each part when it is asked for, and its complaints have no class in common: a version that X.509
# does not know is no ValueError, a name of the wrong ASN.1 type is a TypeError.
COMPLAINTS = (ValueError, TypeError, InvalidVersion, UnsupportedAlgorithm)


def from_text(encoded: str) -> Certificate:
    """The certificate of an X509Certificate element: base64 of DER, with any white space. Raises `Unreadable`."""
    try:
        der = base64.b64decode("".join(encoded.split()), validate=True)
        return _told(load_der_x509_certificate(der))
    except (binascii.Error, *COMPLAINTS) as error:
        raise Unreadable from error


def from_pem(pem: str) -> tuple[Certificate, ...]:
    """Every certificate of a PEM text, of which there is at least one. Raises `Unreadable`."""
    try:
        return tuple(_told(found) for found in load_pem_x509_certificates(pem.encode()))
    except COMPLAINTS as error:
        raise Unreadable from error


def _told(found: X509) -> Certificate:
    key = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Certificate(
        fingerprint=hashlib.sha256(found.public_bytes(Encoding.DER)).hexdigest(),
        key=hashlib.sha256(key).hexdigest(),
        subject=found.subject.rfc4514_string(),
        begins=found.not_valid_before_utc,
        ends=found.not_valid_after_utc,
        pem=found.public_bytes(Encoding.PEM).decode(),
        weakness=_weakness(found.public_key()),
    )


def _weakness(key: CertificatePublicKeyTypes) -> str:
    # Attack: a short key, forgotten beside the good one, is factored and signs as its owner.
    if isinstance(key, rsa.RSAPublicKey):
        short = key.key_size < MIN_RSA_BITS
        return f"an RSA key of {key.key_size} bits, of {MIN_RSA_BITS} that are needed" if short else ""
    if isinstance(key, ec.EllipticCurvePublicKey):
        short = key.key_size < MIN_CURVE_BITS
        return f"a curve of {key.key_size} bits, of {MIN_CURVE_BITS} that are needed" if short else ""
    return "a key that is neither RSA nor of a curve for ECDSA"
