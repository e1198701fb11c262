"""Which connection a bearer token speaks for: a look-up that finds a tenant instead of taking one.

A read asks for the token and for what it wants in one statement, so that a revocation holds at once in every
process and costs nothing: such a statement begins with `CALLER` and takes the caller from its first columns.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from provisioning import sql

LAST_USE_RESOLUTION = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a SCIM request comes from."""

    token_id: UUID
    tenant_id: UUID
    connection_id: UUID
    unknown_member: str
    """`refuse` or `skip`: what a group write does with a member that this connection does not have."""
    scopes: frozenset[str]
    schema_version: int
    """Of the tenant: goes up when its schema extensions change."""
    requests_per_minute: int
    digest_key: bytes


CALLER = """
WITH caller AS (
    SELECT t.id AS token_id, t.tenant_id, t.connection_id, c.unknown_member, t.scopes, n.schema_version,
           c.requests_per_minute, n.digest_key, t.last_used_at
      FROM provisioning_scimtoken t
      JOIN provisioning_connection c ON c.id = t.connection_id AND c.tenant_id = t.tenant_id
      JOIN provisioning_tenant n ON n.id = t.tenant_id
     WHERE t.digest = %s::bytea AND t.revoked_at IS NULL
       AND (t.expires_at IS NULL OR t.expires_at > %s::timestamptz)
       AND c.status = 'active' AND c.scim_enabled
)
"""
"""Parameters: the token's digest, the time. No row for a token that is unknown, expired or revoked, or whose
connection takes no SCIM."""

COLUMNS = 9
"""How many columns of `caller.*` come before what a read adds."""


def digest(token: str) -> bytes:
    """SHA-256: a token holds 256 random bits, so a slow or salted hash would add nothing."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def caller_of(token_digest: bytes, at: datetime) -> Caller | None:
    """In a statement of its own, for what does not begin with a read."""
    found = sql.rows(f"{CALLER} SELECT * FROM caller", (token_digest, at))  # noqa: S608 - a constant
    return caller_in(found[0], at) if found else None


def connection_of(token: str, at: datetime) -> Caller | None:
    return caller_of(digest(token), at)


def caller_in(row: tuple[Any, ...], at: datetime) -> Caller:
    """The caller of a statement that began with `CALLER`; notes the token's use, once a minute."""
    token_id, tenant_id, connection_id, unknown_member, scopes, version, rate, key, last_used_at = row[
        :COLUMNS
    ]
    if last_used_at is None or at - last_used_at >= LAST_USE_RESOLUTION:
        sql.execute(
            "UPDATE provisioning_scimtoken SET last_used_at = %s WHERE id = %s AND tenant_id = %s",
            (at, token_id, tenant_id),
        )
    return Caller(
        token_id=token_id,
        tenant_id=tenant_id,
        connection_id=connection_id,
        unknown_member=unknown_member,
        scopes=frozenset(scopes),
        schema_version=version,
        requests_per_minute=rate,
        digest_key=bytes(key),
    )
