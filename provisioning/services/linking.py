"""An administrator says whose account this is, whose it is not, that it is to be bound anew, or in the way.

Each act is an observation like any other.
"""

from uuid import UUID

from identity_hub.core.clock import now
from identity_hub.core.request_id import current_request_id
from provisioning.decision.reasons import FindingKind
from provisioning.decision.types import Actor, Channel, Decision, Intent, Observation, Outcome
from provisioning.models import Account, Finding, Identity

from .invalid import needed_reason
from .submission import simulate_many, submit

QUESTIONS = (
    FindingKind.WEAK_MATCH,
    FindingKind.DISPUTED,
    FindingKind.LOOK_ALIKE,
    FindingKind.PROTECTED_MATCH,
)
"""Kinds of findings that ask whose an account is. A link answers the open one."""


def link(
    *, account: Account, identity: Identity, reason: str, actor: Actor, fold_duplicate: bool = False
) -> Outcome:
    """Ties the account to this identity, off the one that it is tied to as far as the caller knows.

    With `fold_duplicate` the login's account ends in the pushed one where the two only double each other (row 36).
    """
    return submit(_link(account, identity, needed_reason(reason), actor, fold_duplicate))


def unlink(*, account: Account, reason: str, actor: Actor) -> Outcome:
    """Not the same person: the account waits for its link, and no rule ties it to this identity again."""
    return submit(unlinking(account=account, reason=needed_reason(reason), actor=actor))


def unbind(*, account: Account, reason: str, actor: Actor) -> Outcome:
    """Frees the account of its NameID, and binds none: the next login that is believed does. Holds stay."""
    return submit(unbinding(account=account, reason=needed_reason(reason), actor=actor))


def unbinding(*, account: Account, reason: str, actor: Actor, finding_id: UUID | None = None) -> Observation:
    return _observed(account, Intent.UNBIND, reason, actor, finding_id=finding_id)


def end_inactive(*, account: Account, reason: str, actor: Actor) -> Outcome:
    """Ends an inactive account as a DELETE of its IdP would, so that its name and key are free."""
    return submit(ending(account=account, reason=needed_reason(reason), actor=actor))


def ending(*, account: Account, reason: str, actor: Actor, finding_id: UUID | None = None) -> Observation:
    return _observed(account, Intent.DELETE, reason, actor, finding_id=finding_id)


def separate(*, account: Account, reason: str, actor: Actor) -> Outcome:
    """A waiting account is nobody whom the hub knows: it becomes a person of its own."""
    return submit(
        _observed(account, Intent.CREATE, needed_reason(reason), actor, finding_id=_question(account))
    )


def foresee_link(
    *, account: Account, identity: Identity, actor: Actor, fold_duplicate: bool = False
) -> Decision:
    """What `link` would decide now; nothing is written."""
    return _foreseen(_link(account, identity, "", actor, fold_duplicate))


def foresee_unlink(*, account: Account, actor: Actor) -> Decision:
    return _foreseen(unlinking(account=account, reason="", actor=actor))


def _foreseen(observation: Observation) -> Decision:
    ((decision, _),) = simulate_many([observation])
    return decision


def _link(
    account: Account, identity: Identity, reason: str, actor: Actor, fold_duplicate: bool
) -> Observation:
    return _observed(
        account,
        Intent.UPDATE,
        reason,
        actor,
        target_identity_id=identity.pk,
        fold_duplicate=fold_duplicate,
        finding_id=_question(account),
    )


def unlinking(*, account: Account, reason: str, actor: Actor) -> Observation:
    return _observed(account, Intent.UNLINK, reason, actor)


def _observed(
    account: Account,
    intent: Intent,
    reason: str,
    actor: Actor,
    *,
    target_identity_id: UUID | None = None,
    fold_duplicate: bool = False,
    finding_id: UUID | None = None,
) -> Observation:
    return Observation(
        channel=Channel.ADMIN,
        intent=intent,
        tenant_id=account.tenant_id,
        connection_id=account.connection_id,
        at=now(),
        actor=actor,
        request_id=current_request_id(),
        account_id=account.pk,
        target_identity_id=target_identity_id,
        former_identity_id=account.identity_id,
        fold_duplicate=fold_duplicate,
        finding_id=finding_id,
        reason=reason,
    )


def _question(account: Account) -> UUID | None:
    asked = Finding.objects.filter(
        tenant_id=account.tenant_id, account=account, status=Finding.Status.OPEN, kind__in=QUESTIONS
    )
    return asked.order_by("opened_at").values_list("pk", flat=True).first()
