"""Which connection a bearer token speaks for: a look-up that finds a tenant instead of taking one.

A read asks for the token and for what it wants in one statement, so that a revocation holds at once in every
process and costs nothing: such a statement begins with `CALLER` and takes the caller from its first columns.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

import orjson

from provisioning import sql
from provisioning.decision.policy import NOTHING, Switch

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
    stopped: frozenset[Switch] = NOTHING
    """What an administrator has stopped of the connection."""


CALLER = """
WITH caller AS (
    SELECT t.tenant_id, t.connection_id,
           jsonb_build_object(
               'token', t.id, 'tenant', t.tenant_id, 'connection', t.connection_id,
               'unknown_member', c.unknown_member, 'scopes', t.scopes, 'schema_version', n.schema_version,
               'rate', c.requests_per_minute, 'key', encode(n.digest_key, 'hex'), 'used', t.last_used_at,
               'stopped', c.stopped) AS who
      FROM provisioning_scimtoken t
      JOIN provisioning_connection c ON c.id = t.connection_id AND c.tenant_id = t.tenant_id
      JOIN provisioning_tenant n ON n.id = t.tenant_id
     WHERE t.digest = %s::bytea AND t.revoked_at IS NULL
       AND (t.expires_at IS NULL OR t.expires_at > %s::timestamptz)
       AND c.status <> 'disabled' AND c.scim_enabled
)
"""
"""Parameters: the token's digest, the time. No row for a token that is unknown, expired or revoked, or whose
connection takes no SCIM. `who` is what `caller_in` reads."""


def digest(token: str) -> bytes:
    """SHA-256: a token holds 256 random bits, so a slow or salted hash would add nothing."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def caller_of(token_digest: bytes, at: datetime) -> Caller | None:
    """In a statement of its own, for what does not begin with a read."""
    found = sql.rows(f"{CALLER} SELECT who FROM caller", (token_digest, at))  # noqa: S608 - a constant
    return caller_in(found[0][0], at) if found else None


def connection_of(token: str, at: datetime) -> Caller | None:
    return caller_of(digest(token), at)


def caller_in(who: str, at: datetime) -> Caller:
    """The caller that a statement with `CALLER` found; notes the token's use, once a minute."""
    caller, used = _read(who)
    if used is None or at - used >= LAST_USE_RESOLUTION:
        sql.execute(
            "UPDATE provisioning_scimtoken SET last_used_at = %s WHERE id = %s AND tenant_id = %s",
            (at, caller.token_id, caller.tenant_id),
        )
    return caller


# Of one token the database says the same for a minute.
@lru_cache(maxsize=1024)
def _read(who: str) -> tuple[Caller, datetime | None]:
    said = orjson.loads(who)
    caller = Caller(
        token_id=UUID(said["token"]),
        tenant_id=UUID(said["tenant"]),
        connection_id=UUID(said["connection"]),
        unknown_member=said["unknown_member"],
        scopes=frozenset(said["scopes"]),
        schema_version=said["schema_version"],
        requests_per_minute=said["rate"],
        digest_key=bytes.fromhex(said["key"]),
        stopped=frozenset(map(Switch, said["stopped"])),
    )
    return caller, datetime.fromisoformat(said["used"]) if said["used"] else None
