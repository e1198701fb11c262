"""Secrets that the hub has to use again, as they lie in the database. Knows nobody who uses them.

Sealed by Fernet (AES-128-CBC and HMAC-SHA-256) with a key derived from the first of `CREDENTIAL_KEYS`; the others open
what was sealed before.
"""

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

PURPOSE = b"identity-hub/credentials/"


class Unopenable(ValueError):
    """None of the keys opens it: it was sealed by another one, or for another row."""


def seal(secret: str, *, for_row: str) -> str:
    return _fernet(for_row).encrypt(secret.encode()).decode()


def unseal(sealed: str, *, for_row: str) -> str:
    """Raises `Unopenable`."""
    try:
        return _fernet(for_row).decrypt(sealed).decode()
    except (InvalidToken, ValueError):  # ValueError: not even of ASCII
        raise Unopenable from None


def reseal(sealed: str, *, for_row: str) -> str:
    """The same secret under the first key. Raises `Unopenable`."""
    return seal(unseal(sealed, for_row=for_row), for_row=for_row)


def _fernet(for_row: str) -> MultiFernet:
    # A key of its own for each row: whoever can write to the database and reads only his own tenant cannot copy
    # another's secret into his row, and have it used at his own address.
    return MultiFernet([Fernet(_key(word, for_row)) for word in settings.CREDENTIAL_KEYS])


def _key(word: str, for_row: str) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE + for_row.encode())
    return base64.urlsafe_b64encode(derived.derive(word.encode()))
