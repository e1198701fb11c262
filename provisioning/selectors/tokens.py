"""Which connection a bearer token speaks for: a look-up that finds a tenant instead of taking one."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from provisioning.models import Connection, ScimToken

LAST_USE_RESOLUTION = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a SCIM request comes from."""

    token_id: UUID
    tenant_id: UUID
    connection_id: UUID
    unknown_member: str
    """`refuse` or `skip`: what a group write does with a member that this connection does not have."""


def digest(token: str) -> bytes:
    """SHA-256: a token holds 256 random bits, so a slow or salted hash would add nothing."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def connection_of(token: str, at: datetime) -> Caller | None:
    """None for a token that is unknown, expired or revoked, or whose connection takes no SCIM."""
    row = (
        ScimToken.objects.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=at),
            digest=digest(token),
            revoked_at__isnull=True,
            connection__status=Connection.Status.ACTIVE,
            connection__scim_enabled=True,
        )
        .values_list("id", "tenant_id", "connection_id", "connection__unknown_member", "last_used_at")
        .first()
    )
    if row is None:
        return None
    token_id, tenant_id, connection_id, unknown_member, last_used_at = row
    if last_used_at is None or at - last_used_at >= LAST_USE_RESOLUTION:
        ScimToken.objects.filter(pk=token_id, tenant_id=tenant_id).update(last_used_at=at)
    return Caller(
        token_id=token_id,
        tenant_id=tenant_id,
        connection_id=connection_id,
        unknown_member=unknown_member,
    )
