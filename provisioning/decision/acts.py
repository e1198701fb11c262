"""What follows when an administrator acts. Knows no form and no permission."""

from dataclasses import replace

from .answers import accepted, leave_identity, refused
from .authority import shown_profile
from .effects import (
    hold_of_inactive,
    link,
    needed,
    release,
    suspend,
)
from .reasons import Reason
from .situations import Case
from .types import (
    Change,
    CloseFinding,
    CreateIdentity,
    Decision,
    HoldKind,
    IdentityFacts,
    Intent,
    LiftHold,
    LinkAccount,
    Rule,
)

PLACED_BY_ADMINISTRATORS = frozenset({HoldKind.ADMIN, HoldKind.SECURITY, HoldKind.APPROVAL})
LIFTED_BY_ADMINISTRATORS = PLACED_BY_ADMINISTRATORS | {HoldKind.SCIM, HoldKind.EXPIRY}


def place_hold(case: Case) -> Decision:
    identity = needed(case.identity, "identity")
    kind = case.observation.hold
    if kind not in PLACED_BY_ADMINISTRATORS:
        return refused(case, Reason.IDENTITY_HOLD_REFUSED, [])
    changes: list[Change] = []
    if not _is_held(identity, kind):
        changes += suspend(identity, kind, None, case.observation.reason)
    if case.observation.finding_id:
        # A request that was refused: nobody waits for an approval any more.
        changes += [*_lifting(identity, HoldKind.APPROVAL), *_closing(case, approved=False)]
    if not changes:
        return leave_identity(case)
    return accepted(case, Reason.IDENTITY_HELD, changes, None, identity)


def lift_hold(case: Case) -> Decision:
    """Of the kind that is named, whatever placed it; other kinds stay. Lifting `approval` grants the request."""
    identity = needed(case.identity, "identity")
    kind = case.observation.hold
    if kind is None or kind not in LIFTED_BY_ADMINISTRATORS:
        return refused(case, Reason.IDENTITY_HOLD_REFUSED, [])
    changes = [*_lifting(identity, kind), *_closing(case, approved=True)]
    if not changes:
        return leave_identity(case)
    return accepted(case, Reason.IDENTITY_RELEASED, changes, None, identity)


def link_by_hand(case: Case) -> Decision:
    """Rule 0: an administrator says whose account this is."""
    if case.observation.target_identity_id is None:
        return close_finding(case)
    account = needed(case.account, "account")
    identity = needed(case.identity, "identity")
    changes = [
        *link(case, account, identity, Rule.EXPLICIT, {"by": case.observation.actor.kind}),
        *_closing(case, approved=True),
    ]
    return accepted(case, Reason.ACCOUNT_LINKED, changes, replace(account, identity_id=identity.id))


def close_finding(case: Case) -> Decision:
    """Nothing but the finding changes; without one the act says what is so already."""
    changes = _closing(case, approved=case.observation.intent is not Intent.CREATE)
    reason = Reason.FINDING_CLOSED if changes else Reason.ACCOUNT_UNCHANGED
    return accepted(case, reason, changes, case.account)


def separate(case: Case) -> Decision:
    """A waiting account that is nobody whom the hub knows becomes a person of its own."""
    account = needed(case.account, "account")
    identity_id = needed(case.observation.new_identity_id, "new_identity_id")
    own = replace(account, identity_id=identity_id)
    changes: list[Change] = [
        CreateIdentity(identity_id=identity_id, profile=shown_profile([own])),
        LinkAccount(
            account_id=account.id,
            identity_id=identity_id,
            rule=Rule.CREATED,
            evidence={"by": case.observation.actor.kind},
        ),
        *release(case, HoldKind.SCIM, [account.id]),
        *hold_of_inactive(own, None),
        *_closing(case, approved=False),
    ]
    return accepted(case, Reason.ACCOUNT_IDENTITY_CREATED, changes, own)


def _is_held(identity: IdentityFacts, kind: HoldKind) -> bool:
    return any(hold.kind is kind for hold in identity.holds)


def _lifting(identity: IdentityFacts, kind: HoldKind) -> list[Change]:
    lift = LiftHold(identity_id=identity.id, kind=kind, source_account_id=None)
    return [lift] if _is_held(identity, kind) else []


def _closing(case: Case, *, approved: bool) -> list[Change]:
    finding_id = case.observation.finding_id
    return [CloseFinding(finding_id=finding_id, approved=approved)] if finding_id else []
