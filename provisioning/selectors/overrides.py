"""What is overridden of one identity, beside what its sources say. Knows no page."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from provisioning.decision.authority import OVERRIDABLE, profile_of_assertion, profile_of_resource
from provisioning.decision.types import Actor
from provisioning.models import Account, Identity, Override

from .comparison import ATTRIBUTES
from .timeline import actor_names

LABELS = {name: dict(ATTRIBUTES)[name] for name in OVERRIDABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """`said` is (connection, value) of each source that says anything, an account's document and its last login."""

    attribute: str
    label: str
    value: str
    said: list[tuple[str, str]]
    reason: str
    set_by: str
    set_at: datetime
    until: datetime


def live_of(identity: Identity) -> dict[str, Override]:
    """Attribute -> its override."""
    rows = Override.objects.filter(tenant_id=identity.tenant_id, identity=identity, ended_at__isnull=True)
    return {row.attribute: row for row in rows.order_by("set_at")}


def shown(identity: Identity, accounts: Iterable[Account]) -> list[Live]:
    """Its overrides, the oldest first; `accounts` are its live ones, with their connections."""
    rows = live_of(identity)
    if not rows:
        return []
    actors = actor_names({Actor.who_signed(row.set_by) for row in rows.values()}, identity.tenant_id)
    accounts = list(accounts)
    return [
        Live(
            attribute=row.attribute,
            label=LABELS[row.attribute],
            value=row.value,
            said=list(said(row.attribute, accounts)),
            reason=row.reason,
            set_by=actors[Actor.who_signed(row.set_by)],
            set_at=row.set_at,
            until=row.until,
        )
        for row in rows.values()
    ]


def said(attribute: str, accounts: Iterable[Account]) -> Iterable[tuple[str, str]]:
    """(source, value) of each that says anything of it; `accounts` come with their connections."""
    for account in accounts:
        name = account.connection.name
        document = getattr(profile_of_resource(account.resource), attribute)
        asserted = getattr(profile_of_assertion(account.assertion), attribute)
        if document:
            yield name, document
        if asserted and asserted != document:
            yield f"{name}, last login", asserted
