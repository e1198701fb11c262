"""Keyed digests: how a key is recognised after its value is gone, and how it is locked before it exists."""

import hashlib
import hmac
from collections.abc import Iterable
from functools import lru_cache
from uuid import UUID

from provisioning.decision.keys import fold
from provisioning.decision.placeholders import is_nobodys
from provisioning.decision.types import Observation, Subject

Digests = dict[str, list[bytes]]
"""Kind of key (`external_id`, `subject`, `user_name`) -> keyed digests."""


def keyed(digest_key: bytes, kind: str, connection_id: UUID | None, value: str) -> bytes:
    """HMAC-SHA-256 with the tenant's key: nobody without it can try values against a tombstone or the audit."""
    digest = _begun(digest_key, kind, connection_id).copy()
    digest.update(value.encode("utf-8", "surrogatepass"))
    return digest.digest()


def part_digest(digest_key: bytes, kind: str, part: str) -> str:
    """How a finding keeps a part of its case (`Finding.parts`): of each kind another one."""
    return keyed(digest_key, f"finding {kind}", None, part).hex()[:32]


# Setting a key up costs more than the digest of one value.
@lru_cache(maxsize=1024)
def _begun(digest_key: bytes, kind: str, connection_id: UUID | None) -> hmac.HMAC:
    return hmac.new(digest_key, f"{kind}\x00{connection_id or ''}\x00".encode(), "sha256")


def digests_of(observation: Observation, digest_key: bytes) -> Digests:
    """Of every key that people keep, and that the observation speaks of: by them a tombstone answers, and a person's
    audit rows are found. A key that is nobody's finds nobody."""
    where = observation.connection_id
    keys = [observation.external_id] if observation.external_id else []
    names = [observation.user_name] if observation.user_name else []
    if observation.login_names:
        names += [name for name in observation.login_names if name]
    found: Digests = {"subject": []}
    if (subject := observation.subject) is not None and subject.is_key:
        found["subject"].append(keyed(digest_key, "subject", where, subject_text(subject)))
        keys.append(subject.value)
    found["external_id"] = [
        keyed(digest_key, "external_id", where, key) for key in dict.fromkeys(keys) if not is_nobodys(key)
    ]
    found["user_name"] = [
        keyed(digest_key, "user_name", where, name) for name in dict.fromkeys(map(fold, names))
    ]
    return found


def subject_text(subject: Subject) -> str:
    return f"{subject.issuer}\x00{subject.value}"


def case_digest(kind: str, *marks: str) -> str:
    """What tells one case of findings from every other in its tenant."""
    return hashlib.sha256("\x00".join((kind, *marks)).encode()).hexdigest()


def fingerprint_of(kind: str, mark: str, *, in_parts: bool) -> str:
    """That of a case of several parts is another one: what was answered before parts were kept answers none."""
    return case_digest(kind, mark, *([""] if in_parts else []))


def lock_number(tenant_id: UUID, key: tuple[str, ...]) -> int:
    """A signed 64-bit number for PostgreSQL's advisory locks; a collision costs waiting, never correctness."""
    return lock_numbers(tenant_id, [key])[0]


def lock_numbers(tenant_id: UUID, keys: Iterable[tuple[str, ...]]) -> list[int]:
    """Of each key its `lock_number`."""
    begun = hashlib.blake2b(f"{tenant_id}\x00".encode(), digest_size=8)
    numbers = []
    for key in keys:
        digest = begun.copy()
        digest.update("\x00".join(key).encode("utf-8", "surrogatepass"))
        numbers.append(int.from_bytes(digest.digest(), "big", signed=True))
    return numbers
