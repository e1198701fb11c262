"""Writes of SCIM tokens and of the OAuth clients that obtain them. A secret is in an answer once, and nowhere else."""

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from identity_hub.core.clock import now
from provisioning import audit
from provisioning.decision.reasons import Act
from provisioning.decision.types import Actor
from provisioning.models import Connection, ScimClient, ScimToken, Scope
from provisioning.selectors.credentials import live
from provisioning.selectors.tokens import digest

from .configuration import Invalid, owner_of
from .expiry import forget_expiry
from .invalid import needed_reason

SECRET_BYTES = 32
TOKEN_PREFIX = "hub_"  # noqa: S105 - lets secret scanners recognise ours
CLIENT_SECRET_PREFIX = "hub_client_"  # noqa: S105
SHOWN = 12
"""How much of a token is kept to recognise it by."""

LONGEST_LIFE = timedelta(days=3650)
OVERLAP = timedelta(days=7)
LONGEST_OVERLAP = timedelta(days=90)
ACCESS_TOKEN_LIFE = timedelta(hours=1)
KEPT_AFTER_ITS_END = timedelta(days=1)


def new_secret(prefix: str = TOKEN_PREFIX) -> str:
    """256 random bits."""
    return prefix + secrets.token_urlsafe(SECRET_BYTES)


def issue_token(
    *,
    connection: Connection,
    actor: Actor,
    reason: str,
    days: int | None = None,
    name: str = "",
    scopes: Iterable[str] | None = None,
) -> tuple[ScimToken, str]:
    """A bearer token and its secret. Without `days` it lives until it is revoked, without `scopes` it may all."""
    reason = needed_reason(reason)
    _check_days(days)
    chosen, at, secret = _scopes(scopes), now(), new_secret()
    _check_name(name)
    with transaction.atomic():
        token = _kept(
            connection_id=connection.pk,
            tenant_id=connection.tenant_id,
            secret=secret,
            name=name,
            scopes=chosen,
            at=at,
            expires_at=at + timedelta(days=days) if days is not None else None,
            owner_id=owner_of(actor, connection.tenant),
        )
        audit.record_act(Act.TOKEN_ISSUED, token, actor=actor, why=reason, changes=_told(token))
    return token, secret


def rotate_token(
    *,
    token: ScimToken,
    actor: Actor,
    reason: str,
    overlap: timedelta = OVERLAP,
    days: int | None = None,
) -> tuple[ScimToken, str]:
    """A successor that may do the same, and its secret. Both live until the overlap is over, then the old one ends.

    The new one lives for `days`, or for as long as the old one was given. The old one's end never moves away.
    """
    reason = needed_reason(reason)
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise Invalid("overlap", f"The overlap is 0 to {LONGEST_OVERLAP.days} days.")
    _check_days(days)
    at, secret = now(), new_secret()
    with transaction.atomic():
        # Of two rotations at once the second waits here, and finds the first one's successor.
        old = ScimToken.objects.select_for_update(no_key=True).get(pk=token.pk, tenant_id=token.tenant_id)
        _refuse_rotation(old, at)
        life = (
            timedelta(days=days) if days is not None else old.expires_at and old.expires_at - old.created_at
        )
        new = _kept(
            connection_id=old.connection_id,
            tenant_id=old.tenant_id,
            secret=secret,
            name=old.name,
            scopes=old.scopes,
            at=at,
            expires_at=at + life if life else None,
            replaces_id=old.pk,
            # Whoever rotates a token answers for it from now on: its former owner may have left.
            owner_id=owner_of(actor, old.tenant) or old.owner_id,
        )
        old.expires_at = min(at + overlap, old.expires_at or at + overlap)
        old.save(update_fields=["expires_at"])
        forget_expiry(token=old, at=at)
        told = _told(new, replaces=str(old.pk))
        audit.record_act(Act.TOKEN_ROTATED, new, actor=actor, why=reason, changes=told)
    return new, secret


def _refuse_rotation(token: ScimToken, at: datetime) -> None:
    if token.client_id is not None:
        raise Invalid("token", "An OAuth client obtains its tokens itself; revoke the client instead.")
    if token.revoked_at is not None or (token.expires_at is not None and token.expires_at <= at):
        raise Invalid("token", "This token has ended; issue a new one.")
    if live(at).filter(tenant_id=token.tenant_id, replaces_id=token.pk).exists():
        raise Invalid("token", "This token has a successor already; revoke that one first.")


def revoke_token(*, token: ScimToken, actor: Actor, reason: str) -> None:
    """From the next request on the token is unknown."""
    reason, at = needed_reason(reason), now()
    with transaction.atomic():
        revoked = ScimToken.objects.filter(
            pk=token.pk, tenant_id=token.tenant_id, revoked_at__isnull=True
        ).update(revoked_at=at)
        if revoked:
            forget_expiry(token=token, at=at)
            audit.record_act(Act.TOKEN_REVOKED, token, actor=actor, why=reason, changes=_told(token))


def create_client(
    *,
    connection: Connection,
    actor: Actor,
    reason: str,
    name: str = "",
    scopes: Iterable[str] | None = None,
) -> tuple[ScimClient, str]:
    """An OAuth client and its secret, by which it obtains tokens of an hour (RFC 6749 4.4)."""
    reason = needed_reason(reason)
    chosen, secret = _scopes(scopes), new_secret(CLIENT_SECRET_PREFIX)
    _check_name(name)
    with transaction.atomic():
        client = ScimClient.objects.create(
            tenant_id=connection.tenant_id,
            connection=connection,
            name=name,
            client_id=secrets.token_hex(16),
            digest=digest(secret),
            scopes=chosen,
            owner_id=owner_of(actor, connection.tenant),
        )
        audit.record_act(Act.CLIENT_CREATED, client, actor=actor, why=reason, changes=_told(client))
    return client, secret


def revoke_client(*, client: ScimClient, actor: Actor, reason: str) -> None:
    """From the next request on the client and every token that it obtained are unknown."""
    reason, at = needed_reason(reason), now()
    with transaction.atomic():
        # The client first: whoever is just obtaining a token holds this row, and its token is there afterwards.
        revoked = ScimClient.objects.filter(
            pk=client.pk, tenant_id=client.tenant_id, revoked_at__isnull=True
        ).update(revoked_at=at)
        if revoked:
            ScimToken.objects.filter(
                tenant_id=client.tenant_id, client_id=client.pk, revoked_at__isnull=True
            ).update(revoked_at=at)
            audit.record_act(Act.CLIENT_REVOKED, client, actor=actor, why=reason, changes=_told(client))


def keep_access_token(*, client: ScimClient, secret: str, scopes: Iterable[str]) -> ScimToken | None:
    """The token that a client has just obtained, for an hour. None for a client that was revoked meanwhile."""
    at = now()
    with transaction.atomic():
        known = ScimClient.objects.filter(
            pk=client.pk, tenant_id=client.tenant_id, revoked_at__isnull=True
        ).update(last_used_at=at)
        if not known:
            return None
        token = _kept(
            connection_id=client.connection_id,
            tenant_id=client.tenant_id,
            secret=secret,
            name=client.name,
            scopes=_scopes(scopes),
            at=at,
            expires_at=at + ACCESS_TOKEN_LIFE,
            client_id=client.pk,
        )
        actor = Actor(kind="client", id=str(client.pk))
        audit.record_act(Act.TOKEN_OBTAINED, token, actor=actor, why=None, changes=_told(token))
    return token


def trim_access_tokens(*, at: datetime) -> int:
    """Deletes tokens of OAuth clients that ended a while ago, of every tenant; what they did is told without them."""
    over = at - KEPT_AFTER_ITS_END
    deleted, _ = ScimToken.objects.filter(
        Q(expires_at__lt=over) | Q(revoked_at__lt=over), client__isnull=False
    ).delete()
    return deleted


def _check_days(days: int | None) -> None:
    if days is not None and not 1 <= days <= LONGEST_LIFE.days:
        raise Invalid("days", f"A token lives for 1 to {LONGEST_LIFE.days} days, or until it is revoked.")


def _check_name(name: str) -> None:
    if len(name) > 100:
        raise Invalid("name", "A name has at most 100 characters.")


def _scopes(wanted: Iterable[str] | None) -> list[str]:
    """Sorted as the hub names them; all of them for None."""
    said = set(Scope.values if wanted is None else wanted)
    if strange := sorted(said - set(Scope.values)):
        raise Invalid("scopes", f"There is no scope {strange[0]!r}; there are {', '.join(Scope.values)}.")
    if not said:
        raise Invalid("scopes", "A token without a scope could do nothing; choose one at least.")
    return [scope for scope in Scope.values if scope in said]


def _kept(
    *,
    connection_id: UUID,
    tenant_id: UUID,
    secret: str,
    name: str,
    scopes: list[str],
    at: datetime,
    expires_at: datetime | None,
    replaces_id: UUID | None = None,
    client_id: UUID | None = None,
    owner_id: UUID | None = None,
) -> ScimToken:
    row: ScimToken = ScimToken.objects.create(
        tenant_id=tenant_id,
        connection_id=connection_id,
        client_id=client_id,
        replaces_id=replaces_id,
        name=name,
        scopes=scopes,
        prefix=secret[:SHOWN],
        digest=digest(secret),
        created_at=at,
        expires_at=expires_at,
        owner_id=owner_id,
    )
    return row


def _told(row: ScimToken | ScimClient, **more: str) -> list[dict[str, Any]]:
    return [{"change": "token", "scopes": list(row.scopes), **more}]
