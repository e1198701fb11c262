"""What a person decides about a finding, turned into an observation; the answer is remembered."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import transaction

from identity_hub.core.clock import now
from provisioning import audit
from provisioning.decision.reasons import FindingKind, Reason
from provisioning.decision.types import (
    Actor,
    HoldKind,
    Intent,
    Observation,
    Outcome,
    Situation,
    Verdict,
)
from provisioning.models import Account, Distinction, Finding, Identity
from provisioning.selectors.findings import administrators

from . import metadata
from .invalid import Invalid, needed_reason
from .people import observed
from .submission import retrying, submit_within

SAME_PERSON = frozenset(
    {
        FindingKind.WEAK_MATCH,
        FindingKind.DISPUTED,
        FindingKind.LOOK_ALIKE,
        FindingKind.NAME_RECYCLED,
        FindingKind.DUPLICATE,
        FindingKind.DUPLICATE_IDENTITIES,
        FindingKind.DISABLED_UNLINKED,
    }
)
"""Those that ask whether two are one person; rejecting one tells the two apart for good."""
ASKED_WHENEVER: Mapping[str, str] = {
    # Both holders need a key before the finding frees the NameID: until then the next login has to ask again.
    FindingKind.NAME_ID_RECYCLED: "The next login that meets it asks again.",
    # They tell what has just been done.
    FindingKind.UNCONFIRMED: "The hold stays; if it is lifted and no source confirms the account, it is asked again.",
    FindingKind.CREATION_BURST: "A burst after an hour without one is asked about.",
    FindingKind.REFUSAL_BURST: "A burst after an hour without one is asked about.",
}
"""Those that are asked whenever it comes to that, also soon after they were dealt with -> when that is."""


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
    candidate; a login's account and the pushed one that it doubles become one) and rejecting gives it an identity of
    its own. For one that asks whether somebody may come in,
    approving lifts the `approval` hold, and rejecting makes it an administrator's. For one about metadata that waits,
    approving takes it and rejecting throws it away; `seen` is the `proposal_digest` of the one that was looked at
    (raises Invalid where another waits, or it can no longer be taken). For every other finding the case is closed.
    Of one that asks whether two are one person, rejecting keeps in mind that they are not.
    The decision and what follows from it are one transaction. Raises Invalid without a reason.
    """
    decision = partial(
        decide_within,
        finding=finding,
        approve=approve,
        reason=needed_reason(reason),
        actor=actor,
        identity_id=identity_id,
        seen=seen,
    )
    return retrying(decision)


def decide_within(
    *,
    finding: Finding,
    approve: bool,
    reason: str,
    actor: Actor,
    identity_id: UUID | None = None,
    seen: str = "",
    acted: bool = False,
) -> Outcome:
    """`decide` inside the caller's `retrying`; `acted` where a remedy has changed what the finding is about."""
    outcome = _decide(finding, approve, reason, actor, identity_id, seen, acted)
    if outcome.verdict is Verdict.APPLIED and not approve and finding.kind in SAME_PERSON:
        tell_apart(tenant_id=finding.tenant_id, pairs=pairs_of(finding), actor=actor, finding_id=finding.pk)
    return outcome


def answer(
    finding: Finding, *, approve: bool, reason: str, actor: Actor, identity_id: UUID | None = None
) -> Observation | None:
    """What such a decision says to the decision core; None where it concerns nothing but the finding."""
    if finding.status != Finding.Status.OPEN:
        return None
    if finding.kind == FindingKind.APPROVAL_REQUESTED and finding.identity_id is not None:
        return observed(
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
    if account is None or not waits(finding):
        return None
    chosen = identity_id or next((UUID(name) for name in finding.candidates), None)
    if approve and chosen is None:
        return None
    return observed(
        tenant_id=finding.tenant_id,
        connection_id=account.connection_id,
        intent=Intent.UPDATE if approve else Intent.CREATE,
        account_id=account.pk,
        identity_id=chosen if approve else None,
        fold_duplicate=approve,
        finding_id=finding.pk,
        actor=actor,
        reason=reason,
    )


def waits(finding: Finding) -> bool:
    """Whether it is about an account that waits for its link."""
    account = finding.account
    return account is not None and account.identity_id is None and account.deleted_at is None


def assign(*, finding: Finding, owner: Identity | None, actor: Actor, reason: str) -> Outcome:
    """Who sees to it from now on; None frees it.

    Raises Invalid without a reason, and for whoever does not administer its tenant.
    """
    reason = needed_reason(reason)
    if owner is not None and owner not in administrators(finding.tenant_id):
        raise Invalid("owner", "Only an enabled administrator of the tenant can own a finding.")
    return _change(finding, Reason.FINDING_ASSIGNED, actor, reason, owner_id=owner.pk if owner else None)


def postpone(*, finding: Finding, due_at: datetime | None, actor: Actor, reason: str) -> Outcome:
    """Another day than the one by severity; None goes back to that.

    Raises Invalid without a reason, and for a day that is over.
    """
    reason = needed_reason(reason)
    if due_at is not None and due_at <= now():
        raise Invalid("due_at", "Please name a day that is still to come.")
    return _change(finding, Reason.FINDING_POSTPONED, actor, reason, due_at=due_at)


def tell_apart(
    *, tenant_id: UUID, pairs: Iterable[tuple[UUID, UUID]], actor: Actor, finding_id: UUID | None = None
) -> None:
    """Keeps in mind that these are different people, whichever of them anybody asks about next."""
    Distinction.objects.bulk_create(
        [
            Distinction(
                tenant_id=tenant_id,
                one_id=min(pair),
                other_id=max(pair),
                decided_by=actor.signature,
                finding_id=finding_id,
            )
            for pair in pairs
            if pair[0] != pair[1]
        ],
        ignore_conflicts=True,
    )


def pairs_of(finding: Finding) -> list[tuple[UUID, UUID]]:
    """Whom a rejected finding tells apart: the person it is about, and each candidate that still is there."""
    account = Account.objects.filter(tenant_id=finding.tenant_id, pk=finding.account_id).first()
    about = (account.identity_id if account else None) or finding.identity_id
    named = {UUID(name) for name in finding.candidates}
    if other := finding.evidence.get("account"):
        named |= set(
            Account.objects.filter(
                tenant_id=finding.tenant_id, pk=UUID(other), identity__isnull=False
            ).values_list("identity_id", flat=True)
        )
    there = Identity.objects.filter(tenant_id=finding.tenant_id, pk__in=named).values_list("pk", flat=True)
    return [(about, candidate) for candidate in there if about is not None]


def _change(
    finding: Finding, code: Reason, actor: Actor, reason: str, **columns: UUID | datetime | None
) -> Outcome:
    with transaction.atomic():
        changed = Finding.objects.filter(
            tenant_id=finding.tenant_id, pk=finding.pk, status=Finding.Status.OPEN
        ).update(**columns)
        audit_id = None
        if changed:
            told = {name: str(value) if value else None for name, value in columns.items()}
            audit_id = audit.record_act(
                code,
                finding,
                actor=actor,
                why=reason,
                intent="change",
                changes=[{"change": "finding", **told}],
            )
    return Outcome(
        verdict=Verdict.APPLIED if changed else Verdict.UNCHANGED,
        situation=Situation.LINKED,
        reason=code,
        account_id=finding.account_id,
        identity_id=finding.identity_id,
        audit_id=audit_id,
    )


def _decide(
    finding: Finding,
    approve: bool,
    reason: str,
    actor: Actor,
    identity_id: UUID | None,
    seen: str,
    acted: bool,
) -> Outcome:
    if finding.kind == FindingKind.IDP_REPLACED and finding.status == Finding.Status.OPEN:
        return _decide_metadata(finding, approve=approve, reason=reason, actor=actor, seen=seen)
    said = answer(finding, approve=approve, reason=reason, actor=actor, identity_id=identity_id)
    if said is not None:
        return submit_within(said)
    settled = approve and not acted and not waits(finding) and finding.kind not in ASKED_WHENEVER
    intent = "remedy" if acted else "approve" if approve else "reject"
    return _close(finding, approve=approve, settled=settled, reason=reason, actor=actor, intent=intent)


def _decide_metadata(finding: Finding, *, approve: bool, reason: str, actor: Actor, seen: str) -> Outcome:
    act = metadata.confirm if approve else metadata.reject
    act(connection=finding.connection, reason=reason, actor=actor, seen=seen)
    return Outcome(verdict=Verdict.APPLIED, situation=Situation.LINKED, reason=Reason.FINDING_CLOSED)


def _close(
    finding: Finding, *, approve: bool, settled: bool, reason: str, actor: Actor, intent: str
) -> Outcome:
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
            settled=settled,
        )
        audit_id = None
        if closed:
            audit_id = audit.record_act(
                Reason.FINDING_CLOSED, finding, actor=actor, why=reason, intent=intent
            )
    return Outcome(
        verdict=Verdict.APPLIED if closed else Verdict.UNCHANGED,
        situation=Situation.LINKED,
        reason=Reason.FINDING_CLOSED,
        account_id=finding.account_id,
        identity_id=finding.identity_id,
        audit_id=audit_id,
    )
