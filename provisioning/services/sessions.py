"""How a session of a person begins. It ends by its row, by the epoch, or by whatever disables the identity."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth import login
from django.db import connection as database
from django.db import transaction
from django.http import HttpRequest

from identity_hub.core.client_address import network_of
from identity_hub.core.clock import now
from identity_hub.core.request_id import current_request_id
from provisioning import audit, sql
from provisioning.decision.reasons import Act
from provisioning.decision.types import Actor, Channel, Intent
from provisioning.models import Connection, Identity
from provisioning.sessions import FACTS, begin_idling

# The rule of `Identity.objects.with_state`; of the identity what `login` needs, in the model's order.
_ENABLED = """
SELECT i.password, i.id, i.tenant_id, i.session_epoch
  FROM provisioning_identity i
 WHERE i.tenant_id = %(tenant)s AND i.id = %(identity)s
   AND NOT EXISTS (SELECT FROM provisioning_hold h WHERE h.tenant_id = i.tenant_id AND h.identity_id = i.id)
   AND (i.local OR EXISTS (SELECT FROM provisioning_account a
                            WHERE a.tenant_id = i.tenant_id AND a.identity_id = i.id AND a.deleted_at IS NULL))
"""
_NEEDED = ("password", "id", "tenant_id", "session_epoch")


def open(
    request: HttpRequest,
    *,
    connection: Connection,
    identity_id: UUID,
    account_id: UUID,
    session_index: str = "",
    name_id: Mapping[str, str] | None = None,
    not_on_or_after: datetime | None = None,
) -> bool:
    """Signs an admitted identity in; False when it was disabled between the decision and now.

    `session_index` and `name_id` are what the IdP calls the session and the person: who signs out names them to it.
    The session lasts as long as the connection says, and no longer than the IdP's SessionNotOnOrAfter (SAML core
    2.7.2).
    """
    tenant_id = connection.tenant_id
    found = sql.rows(_ENABLED, {"tenant": tenant_id, "identity": identity_id})
    if not found:
        return False
    identity = Identity.from_db(database.alias, _NEEDED, found[0])
    at = now()
    request.session.flush()
    request.session[FACTS] = _facts(request, tenant_id) | {
        "connection_id": str(connection.pk),
        "account_id": str(account_id),
        "session_index": session_index,
        "name_id": name_id,
    }
    login(request, identity, backend="provisioning.backends.HubBackend")
    begin_idling(request.session, connection.session_idle_minutes, at)
    ends = at + timedelta(hours=connection.session_hours)
    if not_on_or_after is not None:
        # It was to come when the assertion was judged, a moment ago.
        ends = min(ends, max(not_on_or_after, at + timedelta(seconds=1)))
    # A moment and not a number of seconds: those would count from the last time that the session is written.
    request.session.set_expiry(ends)
    request.session.save()
    return True


@transaction.atomic
def note_local_sign_in(request: HttpRequest) -> None:
    """Puts on record who just signed in with a password of the hub's own, and says so on the session's row."""
    identity, at = request.user, now()
    request.session[FACTS] = _facts(request, identity.tenant_id)
    Identity.objects.filter(pk=identity.pk, tenant_id=identity.tenant_id).update(last_login=at)
    audit.record(
        tenant_id=identity.tenant_id,
        at=at,
        actor=Actor(kind="identity", id=str(identity.pk)),
        channel=Channel.ADMIN,
        intent=Intent.AUTHENTICATE,
        reason=Act.LOCAL_SIGNED_IN,
        request_id=current_request_id(),
        identity_id=identity.pk,
    )


def _facts(request: HttpRequest, tenant_id: UUID | None) -> dict[str, str | None]:
    return {
        "tenant_id": str(tenant_id) if tenant_id else None,
        "user_agent": request.headers.get("User-Agent", "")[:256],
        "network": network_of(request),
        "created_at": now().isoformat(),
    }
