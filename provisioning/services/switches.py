"""Kill switches of a connection: by an administrator's word, or by a burst of deactivations where it is strict."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F

from identity_hub.core.clock import now
from provisioning import audit
from provisioning.decision.policy import Switch
from provisioning.decision.reasons import Act, FindingKind
from provisioning.decision.types import Actor
from provisioning.models import Connection

from . import bursts
from .invalid import Invalid, needed_reason

GUARD = Actor(kind="guard")


def stop(*, connection: Connection, switch: Switch, reason: str, actor: Actor) -> Connection:
    """From now on this is not done. Raises Invalid without a reason, and for what is stopped already."""
    reason = needed_reason(reason, "Say in writing why it is stopped.")
    with transaction.atomic():
        row = _locked(connection.tenant_id, connection.pk)
        if switch in row.stopped:
            raise Invalid("switch", "This is stopped already.")
        _stop(row, switch, actor, reason, now())
    return row


def resume(*, connection: Connection, switch: Switch, reason: str, actor: Actor) -> Connection:
    """It goes on. Deactivations are counted anew. Raises Invalid without a reason, and for what is not stopped."""
    reason = needed_reason(reason, "Say in writing why it goes on.")
    with transaction.atomic():
        row = _locked(connection.tenant_id, connection.pk)
        if switch not in row.stopped:
            raise Invalid("switch", "This is not stopped.")
        row.stopped = {name: facts for name, facts in row.stopped.items() if name != switch}
        if switch is Switch.DEACTIVATIONS:
            row.deactivations_counted_from = now()
        if switch is Switch.RUNS:
            row.runs_expected_since = now()
        _save(row)
        audit.record_act(
            Act.CONNECTION_RESUMED, row, actor=actor, why=reason, intent="switch", changes=_told(switch)
        )
    return row


def trip(*, tenant_id: UUID, connection_ids: Iterable[UUID], at: datetime) -> None:
    """More deactivations than strict connections allow: none is obeyed until an administrator says so.

    To be called in the transaction that has refused the first.
    """
    for connection_id in sorted(connection_ids):
        row = _locked(tenant_id, connection_id)
        if Switch.DEACTIVATIONS in row.stopped:
            continue
        _stop(row, Switch.DEACTIVATIONS, GUARD, "More deactivations than the connection allows.", at)
        bursts.ask(
            bursts.Burst(
                kind=FindingKind.DEACTIVATION_BURST,
                tenant_id=tenant_id,
                connection_id=connection_id,
                number=row.burst_deactivations,
                threshold=row.burst_deactivations,
                window=timedelta(minutes=row.burst_deactivation_minutes),
            ),
            actor=GUARD,
            at=at,
        )


def _locked(tenant_id: UUID, connection_id: UUID) -> Connection:
    found: Connection = Connection.objects.select_for_update(no_key=True).get(
        tenant_id=tenant_id, pk=connection_id
    )
    return found


def _stop(row: Connection, switch: Switch, actor: Actor, reason: str, at: datetime) -> None:
    facts = {"since": at.isoformat(), "by": actor.signature, "why": reason[:500]}
    row.stopped = {**row.stopped, switch.value: facts}
    _save(row)
    audit.record_act(
        Act.CONNECTION_STOPPED, row, actor=actor, why=reason, intent="switch", changes=_told(switch)
    )


def _save(row: Connection) -> None:
    row.config_version = F("config_version") + 1
    row.save(update_fields=["stopped", "deactivations_counted_from", "runs_expected_since", "config_version"])
    row.refresh_from_db(fields=["config_version"])


def _told(switch: Switch) -> list[dict[str, str]]:
    return [{"change": "switch", "switch": switch.value}]
