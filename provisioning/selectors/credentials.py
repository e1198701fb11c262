"""The tokens and OAuth clients of a connection, and how far a rotation has come. Knows no secret.

`client_named` finds a tenant instead of taking one: a client sends its name and its secret, and nothing else.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from provisioning.models import Connection, ScimClient, ScimToken

AT_MOST = 50
_CLIENT_ID = re.compile(r"[0-9a-f]{32}")


def live(at: datetime) -> QuerySet[ScimToken]:
    """Tokens that are neither revoked nor expired; the caller names the tenant."""
    return ScimToken.objects.filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=at), revoked_at__isnull=True
    )


def has_credential(connection: Connection, at: datetime) -> bool:
    """Whether anybody could push: a token works, or an OAuth client could have one made."""
    mine = Q(tenant_id=connection.tenant_id, connection=connection)
    clients = ScimClient.objects.filter(mine, revoked_at__isnull=True)
    return live(at).filter(mine).exists() or clients.exists()


def client_named(client_id: str) -> ScimClient | None:
    """None for a client that is unknown or revoked, or whose connection takes no SCIM."""
    if not _CLIENT_ID.fullmatch(client_id):
        return None
    rows = ScimClient.objects.filter(
        client_id=client_id,
        revoked_at__isnull=True,
        connection__scim_enabled=True,
    )
    found: ScimClient | None = rows.exclude(connection__status=Connection.Status.DISABLED).first()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """Two live tokens, the second of which takes over from the first."""

    old: ScimToken
    new: ScimToken

    @property
    def state(self) -> str:
        """`waiting`: the client has not used the new one; `both`: it uses both; `switched`: only the new one."""
        if self.new.last_used_at is None:
            return "waiting"
        if self.old.last_used_at is not None and self.old.last_used_at >= self.new.last_used_at:
            return "both"
        return "switched"


def rotations(connection: Connection, at: datetime) -> list[Rotation]:
    rows = (
        live(at)
        .filter(tenant_id=connection.tenant_id, connection=connection, replaces__in=live(at))
        .select_related("replaces")
    )
    return [Rotation(old=row.replaces, new=row) for row in rows.order_by("-created_at")[:AT_MOST]]


def tokens(connection: Connection, at: datetime) -> list[ScimToken]:
    """Those that a person issued: the live ones first, the newest of each first."""
    rows = ScimToken.objects.filter(
        tenant_id=connection.tenant_id, connection=connection, client__isnull=True
    ).annotate(is_live=Exists(live(at).filter(tenant=OuterRef("tenant"), pk=OuterRef("pk"))))
    return list(rows.order_by("-is_live", "-created_at")[:AT_MOST])


def clients(connection: Connection, at: datetime) -> list[ScimClient]:
    """The live ones first, each with how many of its tokens live now as `live_tokens`."""
    alive = Q(tokens__revoked_at__isnull=True, tokens__expires_at__gt=at)
    rows = ScimClient.objects.filter(tenant_id=connection.tenant_id, connection=connection)
    return list(
        rows.annotate(live_tokens=Count("tokens", filter=alive)).order_by(
            F("revoked_at").desc(nulls_first=True), "-created_at"
        )[:AT_MOST]
    )


def ending(at: datetime, until: datetime) -> Iterator[ScimToken]:
    """Live tokens that end by then, of every tenant, tenant by tenant: those whose successor is not in use yet.

    `has_successor` says whether there is one. An OAuth client renews its tokens itself.
    """
    successors = live(at).filter(tenant=OuterRef("tenant"), replaces=OuterRef("pk"))
    rows = (
        live(at)
        .filter(~Exists(successors.filter(last_used_at__isnull=False)), client=None, expires_at__lte=until)
        .exclude(connection__status=Connection.Status.DISABLED)
        .annotate(has_successor=Exists(successors))
    )
    yield from rows.order_by("tenant_id", "id").iterator(chunk_size=500)
