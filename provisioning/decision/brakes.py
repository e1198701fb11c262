"""What is not done although a rule says so, because a person has to look first. Knows no situation's rule."""

from collections.abc import Mapping
from uuid import UUID

from .answers import refused
from .policy import Switch
from .reasons import Reason
from .situations import Case
from .types import (
    Channel,
    CreateIdentity,
    Decision,
    DeleteAccount,
    HoldKind,
    IdentityFacts,
    PlaceHold,
    Situation,
    Verdict,
)


def braked(case: Case, decision: Decision) -> Decision:
    """The decision, or what is answered instead of it."""
    if case.observation.channel is Channel.ROSTER:
        return _planned(case, _spared(case, decision))
    if case.observation.channel is Channel.SCIM:
        return _stopped(case, decision)
    return decision


def switches_off(decision: Decision) -> bool:
    """Whether somebody who is there already loses access by the word of the account's IdP."""
    new = {change.identity_id for change in decision.changes if isinstance(change, CreateIdentity)}
    return any(
        isinstance(change, PlaceHold) and change.kind is HoldKind.SCIM and change.identity_id not in new
        for change in decision.changes
    )


def _spared(case: Case, decision: Decision) -> Decision:
    """A run never holds a protected identity: it reports it, and does nothing else to it."""
    spared = next(
        (i for i in _losing(decision) if i in case.known.identities and case.known.identities[i].spared), None
    )
    if spared is None:
        return decision
    return Decision(
        verdict=Verdict.UNCHANGED,
        situation=Situation.PROTECTED,
        reason=Reason.IDENTITY_SPARED.value,
        account_id=decision.account_id,
        identity_id=spared,
    )


def _planned(case: Case, decision: Decision) -> Decision:
    """Row 28: whom the guard has not counted a run does not hold, however things stand by now."""
    if case.observation.may_take_access or not takes_access(decision, case.known.identities):
        return decision
    return refused(case, Reason.ITEM_DESTRUCTIVE_NOW, [])


def takes_access(decision: Decision, identities: Mapping[UUID, IdentityFacts]) -> bool:
    """Whether it takes access from somebody who has it: not from who is new, nor from who is held already.

    Sessions that end do not count: their owners are held already, or the hold counts.
    """
    losing = _losing(decision)
    new = {c.identity_id for c in decision.changes if isinstance(c, CreateIdentity)} if losing else set()
    return any(i not in new and not (i in identities and identities[i].holds) for i in losing)


def _losing(decision: Decision) -> list[UUID]:
    return [
        change.identity_id
        for change in decision.changes
        if isinstance(change, (PlaceHold, DeleteAccount)) and change.identity_id is not None
    ]


def _stopped(case: Case, decision: Decision) -> Decision:
    """Row 29, strict: a burst of deactivations is not obeyed until an administrator says so."""
    policy = case.policy
    spent = policy.deactivations_left is not None and policy.deactivations_left <= 0
    if not (spent or Switch.DEACTIVATIONS in policy.stopped) or not switches_off(decision):
        return decision
    return refused(case, Reason.ACCOUNT_DEACTIVATION_STOPPED, [])
