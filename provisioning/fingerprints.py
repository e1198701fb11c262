"""What a person looks like in 96 bytes, so that a million can be compared by a join. Knows no account and no roster."""

from collections.abc import Collection
from hashlib import blake2b
from operator import attrgetter

from .decision.types import PROFILE_FIELDS, Profile

FIELDS = (
    "external_id",
    "user_name",
    "active",
    "email",
    *(name for name in PROFILE_FIELDS if name not in ("user_name", "email")),
)
"""The compared fields in the order of their slices. Fingerprints are stored: a new field goes to the end."""
WIDTH = 8
"""Bytes of one field: enough that among a million people none is taken for unchanged who is not."""

_NOTHING = bytes(WIDTH)
_ACTIVE = {True: b"\0\0\0\0\0\0\0\1", False: b"\0\0\0\0\0\0\0\2"}
_BEGUN = blake2b(digest_size=WIDTH)
_said = attrgetter(*FIELDS[4:])


def fingerprint(*, external_id: str | None, user_name: str, active: bool, profile: Profile) -> bytes:
    """WIDTH bytes for each of FIELDS. A field that says nothing is zeros; the e-mail is the profile's, the best one."""
    email = profile.email
    named = _digest(user_name) if user_name else _NOTHING
    return b"".join(
        [
            _digest(external_id) if external_id else _NOTHING,
            named,
            _ACTIVE[active],
            # Most people's userName is their e-mail.
            named if email == user_name else _digest(email) if email else _NOTHING,
            *[_digest(value) if value else _NOTHING for value in _said(profile)],
        ]
    )


def slice_of(field: str) -> slice:
    """Where a field stands in a fingerprint."""
    start = FIELDS.index(field) * WIDTH
    return slice(start, start + WIDTH)


def differing(one: bytes, other: bytes, fields: Collection[str] = FIELDS) -> list[str]:
    """Which of these fields two fingerprints disagree on, in the order of FIELDS."""
    return [name for name in FIELDS if name in fields and one[slice_of(name)] != other[slice_of(name)]]


def _digest(value: str) -> bytes:
    # Copied: a keyword costs more than the digest of a name.
    digest = _BEGUN.copy()
    digest.update(value.encode("utf-8", "surrogatepass"))
    return digest.digest()
