"""Whether two accounts of one connection are the same account twice. Knows no identity, and not what follows."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from .types import AccountFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Row 36: what a login made beside what SCIM delivered for the same person."""

    login: AccountFacts
    pushed: AccountFacts


def duplicate(one: AccountFacts, other: AccountFacts) -> Duplicate | None:
    """None where a login made neither of them or both, or where their keys say that they are two people's."""
    if one.confirmed == other.confirmed or one.connection_id != other.connection_id:
        return None
    login, pushed = (other, one) if one.confirmed else (one, other)
    if contradicts(login, pushed.external_id):
        return None
    bound = login.subject and pushed.subject
    if bound and login.subject != pushed.subject:
        return None
    return Duplicate(login=login, pushed=pushed)


def duplicates(some: Iterable[AccountFacts], others: Iterable[AccountFacts]) -> list[Duplicate] | None:
    """Of two identities' accounts those that are one twice; None where a connection would have two that are not."""
    found = []
    here = list(some)
    for connection_id, theirs in _by_connection(others).items():
        ours = [account for account in here if account.connection_id == connection_id]
        if not ours:
            continue
        pair = duplicate(ours[0], theirs[0]) if len(ours) == len(theirs) == 1 else None
        if pair is None:
            return None
        found.append(pair)
    return found


def _by_connection(accounts: Iterable[AccountFacts]) -> dict[UUID, list[AccountFacts]]:
    found: dict[UUID, list[AccountFacts]] = {}
    for account in accounts:
        found.setdefault(account.connection_id, []).append(account)
    return found


def contradicts(account: AccountFacts, external_id: str | None) -> bool:
    """Whether the account is known under another externalId than the one that is said now.

    An asserted key says so only where it came from the configured attribute: a persistent NameID is often not
    the externalId.
    """
    if not external_id:
        return False
    if account.external_id:
        return account.external_id != external_id
    from_subject = account.subject is not None and account.subject.value == account.asserted_key
    return bool(account.asserted_key) and not from_subject and account.asserted_key != external_id
