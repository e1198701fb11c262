"""Who answers for a credential or a non-human. Knows no finding."""

from identity_hub.core.clock import now
from identity_hub.core.ids import as_uuid
from identity_hub.core.request_id import current_request_id
from provisioning import audit
from provisioning.decision.reasons import Act
from provisioning.decision.types import Actor, Channel
from provisioning.models import Identity, ScimClient, ScimToken
from provisioning.selectors.findings import administrators

from .invalid import Invalid


def take_over(*, row: ScimToken | ScimClient | Identity, actor: Actor, reason: str) -> None:
    """The acting administrator answers for it from now on. Raises Invalid for anybody else, and for oneself."""
    key = as_uuid(actor.id) if actor.kind == "identity" else None
    tenant_id = row.tenant_id
    if key is None or tenant_id is None or key not in {one.pk for one in administrators(tenant_id)}:
        raise Invalid("owner", "Only an administrator of the organisation can answer for it.")
    if row.pk == key:
        raise Invalid("owner", "Nobody answers for themselves; please ask another administrator.")
    type(row).objects.filter(tenant_id=tenant_id, pk=row.pk).update(owner_id=key)
    is_identity = isinstance(row, Identity)
    audit.record(
        tenant_id=tenant_id,
        at=now(),
        actor=actor,
        channel=Channel.ADMIN,
        intent="own",
        reason=Act.OWNER_CHANGED,
        request_id=current_request_id(),
        connection_id=None if is_identity else row.connection_id,
        identity_id=row.pk if is_identity else None,
        object_id=row.pk,
        values={"reason": reason} if reason else None,
    )
