"""What follows when SCIM speaks, and how a new account is made. Knows no login and no administrator."""

from uuid import UUID

from .answers import accepted, identity_of, protected_match, question, refuse, refused
from .authority import shown_alone
from .correlate import correlate
from .effects import (
    accounts_with,
    accounts_without,
    creation,
    delivered_account,
    doubts,
    finding,
    hold_of_inactive,
    needed,
    release,
    release_active,
    renames,
    show,
    suspend,
    update,
    written,
)
from .reasons import FindingKind, Reason
from .situations import KEPT_KEYS, Case
from .types import (
    AccountFacts,
    Change,
    Channel,
    CreateIdentity,
    Decision,
    DeleteAccount,
    HoldKind,
    IdentityFacts,
    Intent,
    LiftCarried,
    LiftHold,
    Rule,
    Severity,
    Verdict,
)


def create(case: Case) -> Decision:
    """Rows 1 and 17: a person of their own, with no privilege."""
    identity_id = needed(case.observation.new_identity_id, "new_identity_id")
    account = delivered_account(case.observation, case.policy, identity_id=identity_id)
    changes: list[Change] = [
        CreateIdentity(identity_id=identity_id, profile=shown_alone(account, case.observation.profile)),
        creation(account, rule=Rule.CREATED),
        *_released_by_return(case, identity_id),
        *hold_of_inactive(account, None),
        *_recycled_name(case, account),
    ]
    return accepted(case, Reason.ACCOUNT_CREATED, changes, account)


def create_linked(case: Case) -> Decision:
    """Row 7: one identity answers by a strong rule."""
    return _create_for(case, Reason.ACCOUNT_LINKED)


def create_returned(case: Case) -> Decision:
    """Row 19: the same externalId after a DELETE is the same person, and the key's own hold is lifted."""
    return _create_for(case, Reason.ACCOUNT_RETURNED)


def create_waiting(case: Case) -> Decision:
    """Rows 8, 9 and 30: the account lives unlinked, and a person is asked. Never a second identity."""
    account = delivered_account(case.observation, case.policy, identity_id=None)
    changes = [
        creation(account, rule=None),
        *_released_by_return(case, None),
        *question(case, account),
        *_recycled_name(case, account),
    ]
    return accepted(case, Reason.ACCOUNT_LINK_PENDING, changes, account)


def _create_for(case: Case, reason: Reason) -> Decision:
    identity = case.correlation.identity
    account = delivered_account(case.observation, case.policy, identity_id=identity.id)
    changes = [
        creation(account, rule=case.correlation.rule, evidence=case.correlation.evidence()),
        *show(identity, accounts_with(identity, account)),
        *_released_by_return(case, identity.id),
        *hold_of_inactive(account, identity),
        *_recycled_name(case, account),
    ]
    return accepted(case, reason, changes, account)


def adopt(case: Case) -> Decision:
    """Row 6: SCIM confirms what a login made: the same account, `expiry` lifted, the body by authority."""
    return _write(case, Reason.ACCOUNT_ADOPTED)


def reactivate(case: Case) -> Decision:
    """Row 16: a POST of the same externalId wakes the inactive account."""
    return _write(case, Reason.ACCOUNT_REACTIVATED)


def write(case: Case) -> Decision:
    """Rows 11, 13, 15, 20, 21: the account says what SCIM says; its identity shows what has authority."""
    return _write(case, None)


def write_waiting(case: Case) -> Decision:
    """Row 13b: an unlinked account changes alone; disabled, it holds its candidates here too."""
    return _write(case, None)


def write_protected(case: Case) -> Decision:
    """Row 30: the account keeps what its IdP said; the identity behind it is neither changed nor held."""
    account, after = _before_and_after(case)
    changes = update(account, after)
    if changes:
        changes += [*renames(account, after), *protected_match(case, after)]
    return accepted(case, reason_of_write(account, after, changes), changes, after)


def _write(case: Case, reason: Reason | None) -> Decision:
    account, after = _before_and_after(case)
    identity = identity_of(case, account)
    changes = update(account, after)
    if changes:
        changes += [*renames(account, after), *doubts(case, account, after)]
    if identity and not identity.protected:
        changes += show(identity, accounts_with(identity, after))
    if not account.confirmed:
        changes += release(case, HoldKind.EXPIRY, [account.id])
    changes += _holds_of_write(case, account, after, identity)
    other = case.known.by_asserted_key
    if changes and other and other.id != account.id:
        # Row 36: a login made an account under the key that SCIM gives to this one.
        changes += finding(
            case, FindingKind.DUPLICATE, Severity.MEDIUM, after, evidence={"account": str(other.id)}
        )
    return accepted(case, reason or reason_of_write(account, after, changes), changes, after)


def _before_and_after(case: Case) -> tuple[AccountFacts, AccountFacts]:
    account = needed(case.account, "account")
    match case.observation.intent:
        case Intent.DISABLE:
            active = False
        case Intent.ENABLE:
            active = True
        case Intent.CREATE:
            active = case.observation.active is not False
        case _:
            # Row 20: a PUT without `active` never revives.
            said = case.observation.active
            active = account.active if said is None else said
    return account, written(account, case.observation, active=active)


def _holds_of_write(
    case: Case, before: AccountFacts, after: AccountFacts, identity: IdentityFacts | None
) -> list[Change]:
    """`active` moves this account's own hold, and no other."""
    said_active = after.active and (case.observation.active is True or not before.active)
    if said_active:
        return release_active(case, after)
    if after.active or not before.active:
        return []
    if identity is None:
        return hold_candidates(case, after, "disabled while unlinked")
    return [] if identity.protected else suspend(identity, HoldKind.SCIM, after.id, "active=false")


def reason_of_write(before: AccountFacts, after: AccountFacts, changes: list[Change]) -> Reason:
    if before.active and not after.active:
        return Reason.ACCOUNT_DISABLED
    if after.active and (
        not before.active
        or any(isinstance(c, (LiftHold, LiftCarried)) and c.kind is HoldKind.SCIM for c in changes)
    ):
        return Reason.ACCOUNT_ENABLED
    return Reason.ACCOUNT_UPDATED if changes else Reason.ACCOUNT_UNCHANGED


def refuse_collision(case: Case) -> Decision:
    """Row 10: a name or key of another live account is refused; an inactive holder is put to a person."""
    reason = needed(case.reason, "reason")
    if reason is Reason.ACCOUNT_VALUE_TAKEN:
        return refuse(case)
    holder = needed(case.other or case.account, "account")
    changes: list[Change] = []
    if case.finding:
        key = case.observation.external_id or ""
        changes += finding(case, case.finding, Severity.MEDIUM, holder, said=key)
    elif not holder.active:
        changes += finding(case, FindingKind.NAME_HELD_BY_INACTIVE, Severity.LOW, holder)
    attribute = "externalId" if reason is Reason.ACCOUNT_EXTERNAL_ID_TAKEN else "userName"
    return refused(case, reason, changes, attribute=attribute, account=str(holder.id))


def delete(case: Case) -> Decision:
    """Row 18: a tombstone, and a hold whatever other accounts live."""
    account = needed(case.account, "account")
    identity = needed(identity_of(case, account), "identity")
    remaining = accounts_without(identity, account.id)
    changes = [
        DeleteAccount(account_id=account.id, identity_id=identity.id),
        *suspend(identity, HoldKind.SCIM, account.id, "deleted"),
        # With no account left, the last profile stays: people still look for the name.
        *(show(identity, remaining) if remaining else []),
    ]
    return accepted(case, Reason.ACCOUNT_DELETED, changes, account)


def delete_waiting(case: Case) -> Decision:
    """Row 13b for DELETE."""
    account = needed(case.account, "account")
    changes = [
        DeleteAccount(account_id=account.id, identity_id=None),
        *hold_candidates(case, account, "deleted while unlinked"),
    ]
    return accepted(case, Reason.ACCOUNT_DELETED, changes, account)


def delete_protected(case: Case) -> Decision:
    """Row 30 for DELETE: the account goes, the identity stays as it is."""
    account = needed(case.account, "account")
    changes: list[Change] = [
        DeleteAccount(account_id=account.id, identity_id=account.identity_id),
        *protected_match(case, account),
    ]
    return accepted(case, Reason.ACCOUNT_DELETED, changes, account)


def answer_stale(case: Case) -> Decision:
    account = needed(case.account, "account")
    return Decision(
        verdict=Verdict.STALE,
        situation=case.situation,
        reason=Reason.ACCOUNT_STALE.value,
        account_id=account.id,
        identity_id=account.identity_id,
    )


def hold_candidates(case: Case, account: AccountFacts, reason: str) -> list[Change]:
    """Row 13b: whoever this may be loses access where the connection already speaks for them.

    Attack: a name that only looks like another's is given up, and takes her access along. It holds nobody, and the
    question that it was asked by stays.
    """
    changes: list[Change] = []
    elsewhere: list[UUID] = []
    correlation = correlate(case.known, case.observation, case.policy)
    for identity in (a.identity for a in correlation.assessments if a.rules):
        own = any(a.connection_id == account.connection_id for a in identity.accounts if a.id != account.id)
        if own and not identity.protected:
            changes += suspend(identity, HoldKind.SCIM, account.id, reason)
        else:
            elsewhere.append(identity.id)
    if elsewhere:
        changes += finding(
            case, FindingKind.DISABLED_UNLINKED, Severity.HIGH, account, candidates=tuple(elsewhere)
        )
    return changes


def _released_by_return(case: Case, identity_id: UUID | None) -> list[Change]:
    """Row 19: a key that returns lifts what its DELETE placed, on this identity and on whom it only suspected.

    A tombstone that shares no more than the name, or that was somebody else's, keeps its hold. A roster lifts none.
    """
    if case.observation.channel is Channel.ROSTER:
        return []
    if case.observation.active is False and identity_id is None:
        return []
    gone = [
        tombstone.account_id
        for tombstone in case.known.tombstones
        if tombstone.matched & KEPT_KEYS
        and tombstone.identity_id in (None, identity_id)
        and case.observation.at - tombstone.deleted_at <= case.policy.retention
    ]
    return release(case, HoldKind.SCIM, gone)


def _recycled_name(case: Case, account: AccountFacts) -> list[Change]:
    """Row 17: a rehire, or another person with an old name; the finding names whose it was."""
    tombstone = case.tombstone
    if tombstone is None:
        return []
    former = (tombstone.identity_id,) if tombstone.identity_id else ()
    return finding(
        case,
        FindingKind.NAME_RECYCLED,
        Severity.MEDIUM,
        account,
        identity_id=next(iter(former), None),
        candidates=former,
        evidence={"tombstone": str(tombstone.account_id)},
    )
