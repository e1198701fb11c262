"""What follows when a complete roster speaks of somebody. Knows no file, no join and no schedule."""

from dataclasses import replace

from .answers import accepted, identity_of, refused
from .effects import (
    accounts_with,
    doubts,
    finding,
    listed,
    needed,
    release,
    release_active,
    release_missing,
    renames,
    show,
    stamped,
    suspend,
    update,
)
from .pushes import create_waiting, hold_candidates, reason_of_write
from .reasons import FindingKind, Reason
from .runs import leave_account
from .situations import Case
from .types import (
    AccountFacts,
    Change,
    Decision,
    HoldKind,
    IdentityFacts,
    Origin,
    Severity,
)


def write_listed(case: Case) -> Decision:
    """The account says what the roster says of it, as a push would have it, but for one thing: what somebody else
    closed stays closed (stricter wins), and a person is asked.
    """
    account = needed(case.account, "account")
    if (
        case.observation.active is True
        and not account.active
        and account.lifecycle_owner is not Origin.ROSTER
    ):
        return leave_closed(case)
    return _write(case, account, None)


def adopt_listed(case: Case) -> Decision:
    """Row 6: a roster confirms what a login made: the same account, `expiry` lifted."""
    return _write(case, needed(case.account, "account"), Reason.ACCOUNT_ADOPTED)


def leave_closed(case: Case) -> Decision:
    """The roster lists as active whom SCIM or a person closed: nothing is revived.

    Whom an administrator let in since is in, as the roster says: there is nothing to ask.
    """
    account = needed(case.account, "account")
    identity = identity_of(case, account)
    if identity and not any(
        hold.kind is HoldKind.SCIM and hold.source_account_id == account.id for hold in identity.holds
    ):
        return leave_account(case)
    return _contradicted(case, "inactive", account)


def leave_deleted(case: Case) -> Decision:
    """The roster lists whom SCIM deleted: nothing is made anew, unless SCIM says so."""
    tombstone = needed(case.tombstone, "tombstone")
    if case.observation.as_of and tombstone.deleted_at > case.observation.as_of:
        return keep_newer(case)
    return _contradicted(case, "deleted", None)


def keep_newer(case: Case) -> Decision:
    """Whoever spoke after the moment of the roster wins."""
    return accepted(case, Reason.ACCOUNT_NEWER, [], case.account)


def create_protected_or_leave(case: Case) -> Decision:
    """Row 30: a new account lives unlinked beside the identity that answers; one that is tied to it stays as it is."""
    return leave_account(case) if case.account else create_waiting(case)


def refuse_listed(case: Case) -> Decision:
    """Two live accounts answer to one row, or a name answers and its key contradicts: a person looks."""
    account, reason = needed(case.account, "account"), needed(case.reason, "reason")
    evidence = {"account": str(case.other.id)} if case.other else {}
    changes = finding(case, needed(case.finding, "finding"), Severity.MEDIUM, account, evidence=evidence)
    return refused(case, reason, changes, attribute="userName", account=str(account.id))


def _write(case: Case, account: AccountFacts, reason: Reason | None) -> Decision:
    said = case.observation.active
    after = listed(account, case.observation, active=account.active if said is None else said)
    if case.other:
        # Another account has the name: who has the key is closed, and no more than that.
        after = replace(
            account,
            active=after.active,
            lifecycle_owner=after.lifecycle_owner,
            resource=stamped(account.resource, after.active, account.external_id),
        )
    identity = identity_of(case, account)
    changes = update(account, after)
    if changes:
        changes += [*renames(account, after), *doubts(case, account, after)]
    if identity:
        changes += show(identity, accounts_with(identity, after))
    if not account.confirmed:
        changes += release(case, HoldKind.EXPIRY, [account.id])
    changes += _holds(case, account, after, identity)
    if duplicate := case.other or (case.known.by_asserted_key if changes else None):
        changes += _second(case, after, duplicate)
    return accepted(case, reason or reason_of_write(account, after, changes), changes, after)


def _holds(
    case: Case, before: AccountFacts, after: AccountFacts, identity: IdentityFacts | None
) -> list[Change]:
    """`active` moves this account's own hold; that it is listed at all lifts what was placed because it was not."""
    if after.active:
        return release_active(case, after) if case.observation.active else release_missing(case, after)
    if not before.active:
        return []
    if identity is None:
        return hold_candidates(case, after, "inactive in a roster while unlinked")
    return suspend(identity, HoldKind.SCIM, after.id, "inactive in a roster")


def _second(case: Case, account: AccountFacts, other: AccountFacts) -> list[Change]:
    """Row 36: another live account of the connection answers to the same row."""
    if other.id == account.id:
        return []
    evidence = {"account": str(other.id)}
    return finding(case, FindingKind.DUPLICATE, Severity.MEDIUM, account, evidence=evidence)


def _contradicted(case: Case, here: str, account: AccountFacts | None) -> Decision:
    tombstone = case.tombstone
    evidence = {"roster": "active" if case.observation.active is not False else "inactive", "here": here}
    if tombstone:
        evidence["tombstone"] = str(tombstone.account_id)
    changes = finding(
        case,
        FindingKind.STATE_CONFLICT,
        Severity.MEDIUM,
        account,
        # Whose deleted account it was nobody may have said.
        account_id=tombstone.account_id if tombstone and tombstone.identity_id is None else None,
        identity_id=tombstone.identity_id if tombstone else None,
        evidence=evidence,
    )
    return accepted(case, Reason.ACCOUNT_STATE_CONFLICT, changes, account)
