"""Who answers for a credential or a non-human. Knows no finding."""

from django.db import transaction

from identity_hub.core.ids import as_uuid
from provisioning import audit
from provisioning.decision.reasons import Act
from provisioning.decision.types import Actor
from provisioning.models import Identity, ScimClient, ScimToken
from provisioning.selectors.findings import administrators

from .invalid import Invalid, needed_reason


def take_over(*, row: ScimToken | ScimClient | Identity, actor: Actor, reason: str) -> None:
    """The acting administrator answers for it from now on.

    Raises Invalid for anybody else, for oneself, and without a reason.
    """
    reason = needed_reason(reason)
    key = as_uuid(actor.id) if actor.kind == "identity" else None
    tenant_id = row.tenant_id
    if key is None or tenant_id is None or key not in {one.pk for one in administrators(tenant_id)}:
        raise Invalid("owner", "Only an administrator of the organisation can answer for it.")
    if row.pk == key:
        raise Invalid("owner", "Nobody answers for themselves; please ask another administrator.")
    rows = type(row).objects.filter(tenant_id=tenant_id, pk=row.pk)
    with transaction.atomic():
        # Of two who take it over at once the second follows the first.
        former = rows.select_for_update(no_key=True).values_list("owner_id", flat=True).first()
        rows.update(owner_id=key)
        changes = [{"change": "owner", "identity_id": key, "former_identity_id": former}]
        audit.record_act(Act.OWNER_CHANGED, row, actor=actor, why=reason, intent="own", changes=changes)
