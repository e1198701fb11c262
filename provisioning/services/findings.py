"""What a person decides about a finding, turned into an observation; the answer is remembered."""

from uuid import UUID

from django.db import transaction

from identity_hub.core.clock import now
from identity_hub.core.request_id import current_request_id
from provisioning import audit
from provisioning.decision.reasons import FindingKind, Reason
from provisioning.decision.types import Actor, Channel, HoldKind, Intent, Outcome, Situation, Verdict
from provisioning.models import Finding

from . import metadata
from .people import observe


def decide(
    *,
    finding: Finding,
    approve: bool,
    reason: str,
    actor: Actor,
    identity_id: UUID | None = None,
    seen: str = "",
) -> Outcome:
    """Approve: the remedy. Reject: "not so", and it is not asked again.

    For a finding about an account that waits for its link, approving ties it to `identity_id` (or the first
    candidate) and rejecting gives it an identity of its own. For one that asks whether somebody may come in,
    approving lifts the `approval` hold, and rejecting makes it an administrator's. For one about metadata that waits,
    approving takes it and rejecting throws it away; `seen` is the `proposal_digest` of the one that was looked at
    (raises Invalid where another waits, or it can no longer be taken). For every other finding the case is closed.
    """
    if finding.kind == FindingKind.IDP_REPLACED and finding.status == Finding.Status.OPEN:
        return _decide_metadata(finding, approve=approve, reason=reason, actor=actor, seen=seen)
    requested = finding.kind == FindingKind.APPROVAL_REQUESTED and finding.identity_id is not None
    if requested and finding.status == Finding.Status.OPEN:
        return observe(
            tenant_id=finding.tenant_id,
            connection_id=finding.connection_id,
            intent=Intent.ENABLE if approve else Intent.DISABLE,
            identity_id=finding.identity_id,
            hold=HoldKind.APPROVAL if approve else HoldKind.ADMIN,
            finding_id=finding.pk,
            actor=actor,
            reason=reason,
        )
    account = finding.account
    waiting = account is not None and account.identity_id is None and account.deleted_at is None
    if not waiting or account is None or finding.status != Finding.Status.OPEN:
        return _close(finding, approve=approve, reason=reason, actor=actor)
    chosen = identity_id or next((UUID(name) for name in finding.candidates), None)
    if approve and chosen is None:
        return _close(finding, approve=approve, reason=reason, actor=actor)
    return observe(
        tenant_id=finding.tenant_id,
        connection_id=account.connection_id,
        intent=Intent.UPDATE if approve else Intent.CREATE,
        account_id=account.pk,
        identity_id=chosen if approve else None,
        finding_id=finding.pk,
        actor=actor,
        reason=reason,
    )


def _decide_metadata(finding: Finding, *, approve: bool, reason: str, actor: Actor, seen: str) -> Outcome:
    act = metadata.confirm if approve else metadata.reject
    act(connection=finding.connection, reason=reason, actor=actor, seen=seen)
    return Outcome(verdict=Verdict.APPLIED, situation=Situation.LINKED, reason=Reason.FINDING_CLOSED)


def _close(finding: Finding, *, approve: bool, reason: str, actor: Actor) -> Outcome:
    status = Finding.Status.APPROVED if approve else Finding.Status.REJECTED
    at = now()
    with transaction.atomic():
        closed = Finding.objects.filter(
            tenant_id=finding.tenant_id, pk=finding.pk, status=Finding.Status.OPEN
        ).update(
            status=status,
            decided_at=at,
            decided_by=actor.signature,
            decision_reason=reason[:500],
        )
        audit_id = None
        if closed:
            audit_id = audit.record(
                tenant_id=finding.tenant_id,
                at=at,
                actor=actor,
                channel=Channel.ADMIN,
                intent="approve" if approve else "reject",
                reason=Reason.FINDING_CLOSED,
                request_id=current_request_id(),
                connection_id=finding.connection_id,
                account_id=finding.account_id,
                identity_id=finding.identity_id,
                object_id=finding.pk,
                values={"reason": reason} if reason else None,
            )
    return Outcome(
        verdict=Verdict.APPLIED if closed else Verdict.UNCHANGED,
        situation=Situation.LINKED,
        reason=Reason.FINDING_CLOSED,
        account_id=finding.account_id,
        identity_id=finding.identity_id,
        audit_id=audit_id,
    )
