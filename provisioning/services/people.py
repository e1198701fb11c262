"""An administrator's acts on one identity. Each is an observation like any other."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet

from identity_hub.core.clock import now
from identity_hub.core.request_id import current_request_id
from provisioning import audit, outbox
from provisioning.decision.reasons import Act, FindingKind
from provisioning.decision.types import Actor, Channel, HoldKind, Intent, Observation, Outcome
from provisioning.formats import LABELS, Format, cleaned
from provisioning.models import Finding, Identity, OpenSession, Session
from provisioning.selectors.merges import stands_for

from .invalid import Invalid, needed_reason
from .submission import submit

ENDING = "end-sessions"


def observed(
    *,
    tenant_id: UUID,
    intent: Intent,
    actor: Actor,
    reason: str,
    connection_id: UUID | None = None,
    account_id: UUID | None = None,
    identity_id: UUID | None = None,
    **fields: Any,
) -> Observation:
    """What an administrator wants, as the decision core hears it."""
    return Observation(
        channel=Channel.ADMIN,
        intent=intent,
        tenant_id=tenant_id,
        connection_id=connection_id,
        at=now(),
        actor=actor,
        request_id=current_request_id(),
        account_id=account_id,
        target_identity_id=identity_id,
        reason=reason,
        **fields,
    )


def place_hold(*, identity: Identity, kind: HoldKind, reason: str, actor: Actor) -> Outcome:
    """Keeps somebody out and ends the sessions; only an administrator lifts it again."""
    return submit(holding(identity=identity, kind=kind, reason=needed_reason(reason), actor=actor))


def holding(*, identity: Identity, kind: HoldKind, reason: str, actor: Actor) -> Observation:
    return observed(
        tenant_id=tenant_of(identity),
        intent=Intent.DISABLE,
        identity_id=identity.pk,
        hold=kind,
        reason=reason,
        actor=actor,
    )


def lift_hold(*, identity: Identity, kind: HoldKind, reason: str, actor: Actor) -> Outcome:
    """Lifts every hold of one kind; what another kind holds stays held. `approval`: the request is granted."""
    return submit(lifting(identity=identity, kind=kind, reason=needed_reason(reason), actor=actor))


def lifting(*, identity: Identity, kind: HoldKind, reason: str, actor: Actor) -> Observation:
    return observed(
        tenant_id=tenant_of(identity),
        intent=Intent.ENABLE,
        identity_id=identity.pk,
        hold=kind,
        finding_id=_request_of(identity) if kind is HoldKind.APPROVAL else None,
        reason=reason,
        actor=actor,
    )


def keep_from_runs(*, identity: Identity, reason: str, actor: Actor) -> None:
    """From now on no run holds this identity: it is reported instead.

    Raises Invalid without a reason, and for one that was merged into another.
    """
    reason = needed_reason(reason, "Say in writing why no run may hold this person.")
    _spare(
        identity,
        Act.SPARED,
        actor,
        reason,
        kept_from_runs=True,
        kept_from_runs_why=reason[:500],
    )


def leave_to_runs(*, identity: Identity, reason: str, actor: Actor) -> None:
    """Runs may hold this identity as they may any other.

    Raises Invalid without a reason, and for one that was merged into another.
    """
    reason = needed_reason(reason, "Say in writing why runs may hold this person again.")
    _spare(identity, Act.NOT_SPARED, actor, reason, kept_from_runs=False, kept_from_runs_why="")


def _spare(identity: Identity, code: Act, actor: Actor, reason: str, **fields: Any) -> None:
    with transaction.atomic():
        if _standing(identity).kept_from_runs != fields["kept_from_runs"]:
            Identity.objects.filter(tenant_id=tenant_of(identity), pk=identity.pk).update(**fields)
            audit.record_act(code, identity, actor=actor, why=reason, intent="protect")
    identity.refresh_from_db(fields=list(fields))


def prefer(*, identity: Identity, locale: str, time_zone: str) -> None:
    """A person's own act: what they choose stays, whatever sources say. Empty: a source may say it again.

    Raises Invalid for what is no language tag (RFC 5646), or no name of the time zone database.
    """
    chosen = {
        "locale": _chosen(identity, "locale", locale, Format.LOCALE),
        "time_zone": _chosen(identity, "time_zone", time_zone, Format.TIME_ZONE),
    }
    with transaction.atomic():
        # Logins and pushes write the whole profile of whom they have locked.
        row = Identity.objects.select_for_update(no_key=True).get(
            pk=identity.pk, tenant_id=identity.tenant_id
        )
        before = {name: getattr(row, name) for name in chosen if getattr(row, name) != chosen[name]}
        if before:
            after = {name: chosen[name] for name in before}
            Identity.objects.filter(pk=row.pk, tenant_id=row.tenant_id).update(**after, updated_at=now())
            audit.record_act(
                Act.PREFERENCES_SET,
                row,
                actor=Actor(kind="identity", id=str(row.pk)),
                why=None,
                intent="prefer",
                changes=[{"change": "UpdateIdentity", "identity_id": row.pk, "attributes": sorted(before)}],
                values={"UpdateIdentity": {"before": before, "after": after}},
            )
    identity.refresh_from_db(fields=list(chosen))


def _chosen(identity: Identity, field: str, value: str, format: Format) -> str:
    if value == getattr(identity, field):
        # What a source has said is not refused for being left alone.
        return value
    longest = Identity._meta.get_field(field).max_length or 0
    kept = cleaned(value, format) if value and len(value) <= longest else ""
    if value and not kept:
        raise Invalid(field, f"This is not {LABELS[format]}.")
    return kept or ""


def _request_of(identity: Identity) -> UUID | None:
    """The open finding that asks whether this person may come in."""
    asked = Finding.objects.filter(
        tenant_id=identity.tenant_id,
        identity=identity,
        kind=FindingKind.APPROVAL_REQUESTED,
        status=Finding.Status.OPEN,
    )
    return asked.values_list("pk", flat=True).first()


def tenant_of(identity: Identity) -> UUID:
    """For acts about whoever belongs to one. Raises ValueError for an installation superuser, who does not."""
    if identity.tenant_id is None:
        raise ValueError("an installation superuser belongs to no tenant")
    return identity.tenant_id


def end_sessions(*, identity: Identity, reason: str, actor: Actor) -> None:
    """Ends every session of an identity at its next request, without a hold.

    Raises Invalid without a reason, and for one that was merged into another.
    """
    reason = needed_reason(reason)
    with transaction.atomic():
        _standing(identity)
        Identity.objects.filter(pk=identity.pk, tenant_id=identity.tenant_id).update(
            session_epoch=F("session_epoch") + 1
        )
        # Nobody should read that somebody is signed in who is not; what is just beginning is purged later.
        _sessions_of(identity).delete()
        audit.record_act(Act.SESSIONS_ENDED, identity, actor=actor, why=reason, intent=ENDING)
        outbox.enqueue([("sessions.purge", {"identity": str(identity.pk)}, identity.tenant_id)])


def _standing(identity: Identity) -> Identity:
    """Its row, locked. Raises Invalid where another one stands for it, to whom the act would not reach."""
    row: Identity = Identity.objects.select_for_update(no_key=True).get(
        pk=identity.pk, tenant_id=identity.tenant_id
    )
    refuse_merged(row)
    return row


def refuse_merged(identity: Identity) -> None:
    if identity.merged_into_id is not None:
        whole = stands_for(identity)
        raise Invalid(
            "identity",
            f"{identity} was merged into {whole}, found under the id {whole.pk}; please do it there.",
        )


def end_other_sessions(*, identity: Identity, session_key: str) -> int:
    """A person's own act: only the session in use goes on. Answers how many ended."""
    with transaction.atomic():
        ended, _ = _sessions_of(identity).exclude(pk=session_key).delete()
        if ended:
            actor = Actor(kind="identity", id=str(identity.pk))
            audit.record_act(Act.OTHER_SESSIONS_ENDED, identity, actor=actor, why=None, intent=ENDING)
    return ended


def end_session(*, session: Session, actor: Actor, reason: str | None = None) -> None:
    """`reason` is None where a person, or the IdP on the person's behalf, ends it; an administrator's is needed."""
    if reason is not None:
        reason = needed_reason(reason)
    with transaction.atomic():
        identity = session.identity
        session.delete()
        if identity is not None:
            audit.record_act(Act.SESSION_ENDED, identity, actor=actor, why=reason, intent=ENDING)


def end_open_session(*, session: OpenSession, actor: Actor, reason: str) -> bool:
    """Ends the session of a page's row; False where it was over by then. Raises Invalid without a reason."""
    reason = needed_reason(reason)
    rows = Session.objects.select_related("identity").filter(tenant_id=session.tenant_id)
    with transaction.atomic():
        row = rows.select_for_update(of=("self",)).filter(handle=session.handle).first()
        if row is None:
            return False
        end_session(session=row, actor=actor, reason=reason)
    return True


def _sessions_of(identity: Identity) -> QuerySet[Session]:
    return Session.objects.filter(tenant_id=identity.tenant_id, identity_id=identity.pk)
