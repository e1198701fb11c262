"""What takes back what a run did to one person. Knows no run, and not what has happened since: the caller does."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from .acts import carried, left_by
from .answers import accepted, identity_of, refused
from .effects import accounts_with, accounts_without, show, suspend, update
from .keys import fold
from .reasons import Reason
from .situations import Case
from .types import (
    AccountFacts,
    Change,
    Decision,
    DeleteAccount,
    Document,
    EndSessions,
    HoldKind,
    IdentityFacts,
    KeepApart,
    LiftHold,
    TakenBack,
    UnlinkAccount,
    WithdrawFinding,
)


def undo(case: Case) -> Decision:
    """Each change is taken back where it still stands, the last first. Ended sessions stay ended."""
    account, identity = case.account, _concerned(case)
    if taken := _taken(case):
        return refused(case, taken, [])
    changes: list[Change] = []
    for line in case.observation.taken_back:
        changes += [one for one in _EFFECTS[line.change](case, line) if one not in changes]
    return accepted(case, Reason.ITEM_UNDONE, changes, account, identity)


def _concerned(case: Case) -> IdentityFacts | None:
    return case.identity or (identity_of(case, case.account) if case.account else None)


def _taken(case: Case) -> Reason | None:
    """A former name or key may be somebody else's by now."""
    own = case.account.id if case.account else None
    by_key, by_name = case.known.by_external_id, case.known.by_user_name
    if by_key and by_key.id != own:
        return Reason.ACCOUNT_EXTERNAL_ID_TAKEN
    if by_name and by_name.id != own:
        return Reason.ACCOUNT_USER_NAME_TAKEN
    return None


def _lift(case: Case, line: TakenBack) -> Iterable[Change]:
    identity = _named(case, line)
    kind = HoldKind(line.kind)
    if identity is None or not _is_held(identity, kind, line):
        return []
    return [LiftHold(identity_id=identity.id, kind=kind, source_account_id=line.source_account_id)]


def _place(case: Case, line: TakenBack) -> Iterable[Change]:
    identity = _named(case, line)
    kind = HoldKind(line.kind)
    if identity is None or _is_held(identity, kind, line):
        return []
    return suspend(identity, kind, line.source_account_id, "held before a run that was taken back")


def _named(case: Case, line: TakenBack) -> IdentityFacts | None:
    """Whose hold it is: a run may have lifted one that lay on somebody who was only a suspect."""
    return case.known.identities.get(line.identity_id) if line.identity_id else None


def _is_held(identity: IdentityFacts, kind: HoldKind, line: TakenBack) -> bool:
    return any(
        hold.kind is kind and hold.source_account_id == line.source_account_id for hold in identity.holds
    )


def _unlink(case: Case, line: TakenBack) -> Iterable[Change]:
    """The account waits again, and no run ties it to the same person the next night."""
    account = case.account
    former = identity_of(case, account) if account else None
    if account is None or former is None or former.id != line.identity_id:
        return []
    return [
        UnlinkAccount(account_id=account.id, identity_id=former.id),
        KeepApart(account_id=account.id, identity_id=former.id, carried=carried(former, account)),
        *left_by(former, account.id),
    ]


def _remove(case: Case, line: TakenBack) -> Iterable[Change]:
    """Who was made loses access by a tombstone. The identity stays for the audit, and without an account is not
    enabled."""
    account = case.account
    if account is None or account.identity_id != line.identity_id:
        return []
    identity = identity_of(case, account)
    changes: list[Change] = [DeleteAccount(account_id=account.id, identity_id=account.identity_id)]
    if identity:
        remaining = accounts_without(identity, account.id)
        changes += [EndSessions(identity_id=identity.id), *(show(identity, remaining) if remaining else [])]
    return changes


def _restore(case: Case, line: TakenBack) -> Iterable[Change]:
    account = case.account
    if account is None:
        return []
    after = restored(account, line)
    identity = identity_of(case, account)
    return [
        *update(account, after),
        *(show(identity, accounts_with(identity, after)) if identity else []),
    ]


def restored(account: AccountFacts, line: TakenBack) -> AccountFacts:
    """The account as it was: of the attributes that changed what they were, of the others what they are."""
    resource = {name: value for name, value in account.resource.items() if name not in line.after}
    resource |= line.before
    emails = account.emails
    if "emails" in {*line.before, *line.after}:
        emails = _emails(resource)
    return replace(
        account,
        active=account.active ^ ("active" in line.fields),
        confirmed=account.confirmed and "confirmed" not in line.fields,
        user_name=line.user_name or account.user_name,
        external_id=line.external_id if "external_id" in line.fields else account.external_id,
        emails=emails,
        resource=resource,
        lifecycle_owner=line.lifecycle_owner or account.lifecycle_owner,
    )


def _emails(resource: Document) -> tuple[str, ...]:
    entries: list[Any] = list(resource.get("emails") or ())
    return tuple(sorted({fold(entry["value"]) for entry in entries if entry.get("value")}))


def _withdraw(case: Case, line: TakenBack) -> Iterable[Change]:
    return [WithdrawFinding(finding_id=line.finding_id)] if line.finding_id else []


def _leave(case: Case, line: TakenBack) -> Iterable[Change]:
    """An identity is never deleted: its audit, and whatever else speaks of it, stays."""
    return []


_EFFECTS: dict[str, Callable[[Case, TakenBack], Iterable[Change]]] = {
    "LiftHold": _lift,
    "PlaceHold": _place,
    "UnlinkAccount": _unlink,
    "RemoveAccount": _remove,
    "RestoreAccount": _restore,
    "WithdrawFinding": _withdraw,
    "RemoveIdentity": _leave,
}
"""By the name that an item's inverse gives the change."""
