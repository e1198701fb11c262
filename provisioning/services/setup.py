"""How a connection comes into use: evidence for its readiness list, acceptances in writing, activation."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import F

from identity_hub.core.clock import now
from provisioning import audit
from provisioning.decision.readiness import ACCEPTABLE, OPERATOR_ACCEPTABLE, Item, Judged, unmet
from provisioning.decision.reasons import Act
from provisioning.decision.types import Actor
from provisioning.models import Connection, Proof
from provisioning.selectors.readiness import mapping_digest, readiness

from .invalid import Invalid, needed_reason
from .operators import is_operator


def note_test(
    *, connection: Connection, passed: bool, verdicts: Mapping[str, str], key: str, actor: Actor
) -> None:
    """What a test login showed: verdicts by hub attribute, and what would recognise the person (see TestFacts)."""
    facts = {
        "mapping": mapping_digest(connection),
        "passed": passed,
        "verdicts": dict(verdicts),
        "key": key,
    }
    with transaction.atomic():
        _keep(connection, Item.MAPPING, actor, facts=_of_its_idp(connection, facts))
        told = _told(Item.MAPPING)
        audit.record_act(
            Act.CONNECTION_TESTED, connection, actor=actor, why=None, intent="set-up", changes=told
        )


def prove(*, connection: Connection, item: Item, actor: Actor) -> None:
    """The hub itself saw that the item holds."""
    with transaction.atomic():
        _keep(connection, item, actor, facts=_of_its_idp(connection, {"idp": connection.idp_entity_id}))
        told = _told(item)
        audit.record_act(
            Act.CONNECTION_PROVEN, connection, actor=actor, why=None, intent="set-up", changes=told
        )


def forget_tests(connection: Connection) -> None:
    """What test logins showed, they showed of what may have been another IdP: it is to be shown again."""
    shown = Proof.objects.filter(
        tenant_id=connection.tenant_id,
        connection=connection,
        item__in=(Item.MAPPING.value, Item.SIGN_OUT.value),
        accepted=False,
    )
    for proof in shown:
        proof.facts = _of_another(proof.facts)
        proof.save(update_fields=["facts"])


def _of_its_idp(connection: Connection, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts, unless other metadata has come since the connection was read: then nobody knows of whom they tell."""
    return facts if _locked(connection).idp_metadata == connection.idp_metadata else _of_another(facts)


def _of_another(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {**facts, **dict.fromkeys({"mapping", "idp"} & facts.keys(), "")}


def accept(*, connection: Connection, item: Item, reason: str, actor: Actor) -> None:
    """A person says in writing that the connection may be used without the item. Raises Invalid."""
    allowed = OPERATOR_ACCEPTABLE if is_operator(actor) else ACCEPTABLE
    if item not in allowed:
        raise Invalid("item", "This cannot be accepted in writing: it has to be met.")
    reason = needed_reason(reason, "Say in writing why the connection may be used without it.")
    with transaction.atomic():
        _keep(connection, item, actor, accepted=True, reason=reason)
        told = _told(item)
        audit.record_act(
            Act.CONNECTION_ACCEPTED, connection, actor=actor, why=reason, intent="set-up", changes=told
        )


def activate(*, connection: Connection, actor: Actor, reason: str) -> Connection:
    """From now on the connection admits people. Raises Invalid while its readiness list is open, and for a frozen
    connection, which has a question of its own to be answered first."""
    reason = needed_reason(reason)
    with transaction.atomic():
        row = _locked(connection)
        if row.status == Connection.Status.ACTIVE:
            return row
        if row.status == Connection.Status.FROZEN or row.proposed_metadata:
            raise Invalid(
                "status", "The connection is frozen: confirm or reject what changed at its IdP first."
            )
        if lacking := unmet(readiness(row, now())):
            raise Invalid("status", f"It is not ready: {told(lacking)}.")
        return _switched(row, Connection.Status.ACTIVE, Act.CONNECTION_ACTIVATED, actor, reason)


def activate_untested(*, connection: Connection, actor: Actor, reason: str) -> Connection:
    """An operator's word in the place of everything on the list that may be done without. Raises Invalid."""
    with transaction.atomic():
        for one in unmet(readiness(connection, now())):
            if one.item in OPERATOR_ACCEPTABLE:
                accept(connection=connection, item=one.item, reason=reason, actor=actor)
        return activate(connection=connection, actor=actor, reason=reason)


def disable(*, connection: Connection, actor: Actor, reason: str) -> Connection:
    """From now on the connection admits nobody and takes no pushes; sessions that it began go on until they end."""
    reason = needed_reason(reason)
    with transaction.atomic():
        row = _locked(connection)
        if row.status == Connection.Status.DISABLED:
            return row
        return _switched(row, Connection.Status.DISABLED, Act.CONNECTION_DISABLED, actor, reason)


def told(judged: list[Judged]) -> str:
    return ", ".join(one.title[0].lower() + one.title[1:] for one in judged)


def _locked(connection: Connection) -> Connection:
    row: Connection = Connection.objects.select_for_update().get(
        pk=connection.pk, tenant_id=connection.tenant_id
    )
    return row


def _switched(row: Connection, status: Any, code: Act, actor: Actor, reason: str) -> Connection:
    row.status, row.config_version = status, F("config_version") + 1
    row.runs_expected_since = now()
    row.save(update_fields=["status", "config_version", "runs_expected_since"])
    row.refresh_from_db()
    audit.record_act(code, row, actor=actor, why=reason, intent="set-up")
    return row


def _keep(
    connection: Connection,
    item: Item,
    actor: Actor,
    *,
    accepted: bool = False,
    reason: str = "",
    facts: Mapping[str, Any] | None = None,
) -> None:
    Proof.objects.update_or_create(
        tenant_id=connection.tenant_id,
        connection=connection,
        item=item.value,
        accepted=accepted,
        defaults={"reason": reason, "facts": dict(facts or {}), "by": actor.signature, "at": now()},
    )


def _told(item: Item) -> list[dict[str, str]]:
    return [{"change": "readiness", "item": item.value}]
