"""Keyed digests: how a key is recognised after its value is gone, and how it is locked before it exists."""

import hashlib
import hmac
from uuid import UUID


def keyed(digest_key: bytes, kind: str, connection_id: UUID | None, value: str) -> bytes:
    """HMAC-SHA-256 with the tenant's key: nobody without it can try values against a tombstone or the audit."""
    message = f"{kind}\x00{connection_id or ''}\x00{value}".encode("utf-8", "surrogatepass")
    return hmac.digest(digest_key, message, "sha256")


def lock_number(tenant_id: UUID, key: tuple[str, ...]) -> int:
    """A signed 64-bit number for PostgreSQL's advisory locks; a collision costs waiting, never correctness."""
    text = "\x00".join((str(tenant_id), *key)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big", signed=True)
