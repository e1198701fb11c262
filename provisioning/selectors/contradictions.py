"""What the sources of one person say that cannot all be so: each value with who says it. Knows no finding and no rule.

The values are read when a page is shown and are kept nowhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from provisioning.decision.keys import fold
from provisioning.models import Account, Identity

from .comparison import ATTRIBUTES, Channel, asserted_by, delivered_by
from .doubts import privileged

LABELS = {**dict(ATTRIBUTES), "roles": "Privileged roles", "entitlements": "Privileged entitlements"}
SHOWN = frozenset({"hr_number", "email", "family_name"})
"""What a person shows of one source; what is missing here each account keeps for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    account: Account
    connection: str
    channel: Channel
    at: datetime | None
    """When it said so last, as far as that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the values; none where its sources name no privilege."""

    values: tuple[str, ...]
    sources: tuple[Source, ...]
    shown: bool
    """Whether it is this one that the person shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    label: str
    sides: tuple[Side, ...]
    of_person: bool
    """Whether the person shows any value of this attribute."""


def of_person(identity: Identity, attributes: Iterable[str]) -> list[Contradiction]:
    """In the order of LABELS. An attribute of which no source says anything any more is left out."""
    accounts = list(
        Account.objects.filter(tenant_id=identity.tenant_id, identity=identity, deleted_at__isnull=True)
        .select_related("connection")
        .order_by("connection__precedence", "id")
    )
    wanted = set(attributes)
    told = []
    for name, label in LABELS.items():
        if name not in wanted:
            continue
        said = _privileges(name, accounts) if name in _LISTS else _values(name, accounts)
        if said:
            shown = fold(getattr(identity, name)) if name in SHOWN else ""
            told.append(Contradiction(label=label, sides=tuple(_sides(said, shown)), of_person=name in SHOWN))
    return told


Said = list[tuple[tuple[str, ...], Source]]
_LISTS = frozenset({"roles", "entitlements"})


def _values(name: str, accounts: list[Account]) -> Said:
    said = []
    for account in accounts:
        for values, source in (
            (delivered_by(account), _delivered(account)),
            (asserted_by(account), _asserted(account)),
        ):
            if values.get(name):
                said.append((values[name], source))
    return said


def _privileges(name: str, accounts: list[Account]) -> Said:
    """Of accounts that a directory has delivered: a login's roles are no part of what is compared."""
    told = {account.pk: list(_named(account.resource.get(name))) for account in accounts}
    grave = privileged({value for values in told.values() for value in values})
    return [
        (tuple(value for value in told[account.pk] if value in grave), _delivered(account))
        for account in accounts
        if account.confirmed_at
    ]


def _named(entries: Any) -> Iterable[str]:
    for entry in entries if isinstance(entries, list) else ():
        said = (entry.get("value") or entry.get("display")) if isinstance(entry, dict) else entry
        if isinstance(said, str):
            yield said


def _sides(said: Said, shown: str) -> Iterable[Side]:
    """Sources that have a value in common, or say none, stand together."""
    groups: list[tuple[dict[str, str], list[Source]]] = []
    for values, source in said:
        keys = {fold(value): value for value in values}
        alike = next((one for one in groups if one[0].keys() & keys.keys() or not (one[0] or keys)), None)
        if alike is None:
            groups.append((keys, [source]))
        else:
            alike[0].update({key: value for key, value in keys.items() if key not in alike[0]})
            alike[1].append(source)
    for keys, sources in groups:
        yield Side(values=tuple(keys.values()), sources=tuple(sources), shown=bool(shown) and shown in keys)


def _delivered(account: Account) -> Source:
    """A roster's word is of the moment that it spoke of."""
    by_roster = account.as_of is not None
    said = [at for at in (account.updated_at, account.spoken_at) if at]
    return Source(
        account=account,
        connection=str(account.connection),
        channel=Channel.ROSTER if by_roster else Channel.SCIM,
        at=account.as_of if by_roster else max(said),
    )


def _asserted(account: Account) -> Source:
    return Source(
        account=account,
        connection=str(account.connection),
        channel=Channel.LOGIN,
        at=account.last_login_at,
    )
