"""Whether two accounts of one connection are the same account twice. Knows no identity, and not what follows."""

from dataclasses import dataclass

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
