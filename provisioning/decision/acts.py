"""What follows when an administrator acts. Knows no form and no permission."""

from dataclasses import replace
from uuid import UUID

from .answers import accepted, identity_of, leave_identity, refused
from .authority import shown_profile
from .duplicates import duplicate
from .effects import (
    accounts_with,
    accounts_without,
    fold,
    hold_of_inactive,
    holds_of_own,
    link,
    needed,
    release,
    show,
    suspend,
    update,
)
from .pushes import delete, delete_waiting
from .reasons import Reason
from .situations import OF_ACCOUNTS, Case
from .types import (
    AccountFacts,
    Change,
    CloseFinding,
    CreateIdentity,
    Decision,
    EndSessions,
    HoldKind,
    IdentityFacts,
    Intent,
    KeepApart,
    LiftHold,
    LinkAccount,
    MoveHold,
    Rule,
    UnlinkAccount,
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
    return _link(case, Reason.ACCOUNT_LINKED)


def relink(case: Case) -> Decision:
    """Rule 0 against the link that is there."""
    return _link(case, Reason.ACCOUNT_RELINKED)


def unlink(case: Case) -> Decision:
    """Not the same person: the account waits, no rule ties it here again, and nobody signs in by it meanwhile."""
    account = needed(case.account, "account")
    former = needed(identity_of(case, account), "identity")
    changes: list[Change] = [
        UnlinkAccount(account_id=account.id, identity_id=former.id),
        KeepApart(account_id=account.id, identity_id=former.id, carried=carried(former, account)),
        *[
            LiftHold(identity_id=former.id, kind=kind, source_account_id=account.id)
            for kind in _held_through(former, account.id)
        ],
        *left_by(former, account.id),
    ]
    return accepted(case, Reason.ACCOUNT_UNLINKED, changes, account)


def unbind(case: Case) -> Decision:
    """The next login that is believed binds its own NameID. Whoever came by the old one is signed out; holds stay."""
    account = needed(case.account, "account")
    if account.subject is None:
        return accepted(case, Reason.ACCOUNT_UNCHANGED, [], account)
    # A login's account keeps the NameID as its key, which would contradict whatever comes now.
    asserted_key = None if account.asserted_key == account.subject.value else account.asserted_key
    changes = [
        *update(account, replace(account, subject=None, asserted_key=asserted_key)),
        *([EndSessions(identity_id=account.identity_id)] if account.identity_id else []),
        *_closing(case, approved=True),
    ]
    return accepted(case, Reason.ACCOUNT_UNBOUND, changes, account)


def end_inactive(case: Case) -> Decision:
    """Row 10: as by a DELETE of its IdP, so that the name and the key are free for the next push."""
    ended = (delete if case.identity else delete_waiting)(case)
    return replace(
        ended,
        reason=Reason.ACCOUNT_ENDED.value,
        changes=(*ended.changes, *_closing(case, approved=True)),
    )


def _link(case: Case, reason: Reason) -> Decision:
    account = needed(case.account, "account")
    identity = needed(case.identity, "identity")
    if case.other:
        reason, account, changes = Reason.ACCOUNT_FOLDED, *_folded(case, account, identity, case.other)
    else:
        moved = replace(account, identity_id=identity.id)
        changes = _tied(case, account, identity, accounts_with(identity, moved))
    changes += _closing(case, approved=True)
    return accepted(case, reason, changes, replace(account, identity_id=identity.id))


def _tied(
    case: Case, account: AccountFacts, identity: IdentityFacts, accounts: list[AccountFacts]
) -> list[Change]:
    """The account is this identity's, which shows `accounts` from now on. What the account holds goes with it."""
    former = identity_of(case, account)
    if former is None:
        return link(case, account, identity, Rule.EXPLICIT, _by(case), accounts)
    held = _held_through(former, account.id)
    missing = not account.active and HoldKind.SCIM not in held
    return [
        LinkAccount(account_id=account.id, identity_id=identity.id, rule=Rule.EXPLICIT, evidence=_by(case)),
        KeepApart(account_id=account.id, identity_id=former.id),
        *left_by(former, account.id),
        *show(identity, accounts),
        *[
            MoveHold(
                identity_id=identity.id,
                former_identity_id=former.id,
                kind=kind,
                source_account_id=account.id,
            )
            for kind in held
        ],
        *([EndSessions(identity_id=identity.id)] if held else []),
        *(hold_of_inactive(replace(account, identity_id=identity.id), identity) if missing else []),
    ]


def _folded(
    case: Case, account: AccountFacts, identity: IdentityFacts, twin: AccountFacts
) -> tuple[AccountFacts, list[Change]]:
    """Row 36: the account that is left when the login's has ended in the pushed one, and what that takes."""
    found = needed(duplicate(account, twin), "duplicate")
    kept, changes = fold(case, found, identity.id)
    accounts = [*accounts_without(identity, twin.id), kept]
    if kept.id == account.id:
        return kept, [*changes, *_tied(case, kept, identity, accounts)]
    former = identity_of(case, account)
    return kept, [
        LinkAccount(account_id=account.id, identity_id=identity.id, rule=Rule.EXPLICIT, evidence=_by(case)),
        *changes,
        *(left_by(former, account.id) if former else []),
        *show(identity, accounts),
    ]


def left_by(identity: IdentityFacts, account_id: UUID) -> list[Change]:
    """Whoever has no other account is not enabled any more; the last profile stays, to be looked up by."""
    remaining = accounts_without(identity, account_id)
    return [*(show(identity, remaining) if remaining else []), EndSessions(identity_id=identity.id)]


def carried(identity: IdentityFacts, account: AccountFacts) -> tuple[HoldKind, ...]:
    """What the account holds this identity by, and will the next one that it is linked to."""
    # That it is inactive an account says itself, and no longer once its IdP has switched it on.
    return tuple(
        kind for kind in _held_through(identity, account.id) if kind is not HoldKind.SCIM or account.active
    )


def _held_through(identity: IdentityFacts, account_id: UUID) -> list[HoldKind]:
    return sorted(
        hold.kind
        for hold in identity.holds
        if hold.source_account_id == account_id and hold.kind in OF_ACCOUNTS
    )


def _by(case: Case) -> dict[str, str]:
    return {"by": case.observation.actor.kind}


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
        *holds_of_own(case, account, identity_id),
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
