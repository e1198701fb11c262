"""People and accounts as columns to lay side by side. Knows what each of them says, and no finding and no rule.

The values are read when a page is shown and are kept nowhere.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from provisioning.decision.authority import profile_of_assertion, profile_of_resource
from provisioning.decision.keys import differing, fold, look_alike
from provisioning.decision.score import Person, digits, plain
from provisioning.models import Account, Entitlement, Identity, Membership

GROUPS_SHOWN = 12

ATTRIBUTES = (
    ("user_name", "userName"),
    ("external_id", "externalId"),
    ("hr_number", "HR number"),
    ("email", "E-mail"),
    ("display_name", "Display name"),
    ("given_name", "Given name"),
    ("family_name", "Family name"),
    ("phone", "Telephone"),
    ("user_type", "User type"),
    ("department", "Department"),
    ("title", "Title"),
)
"""What is compared, in the order in which it is shown."""
_OWN_KEYS = frozenset({"external_id"})
"""Each connection has its own: that two of them differ says nothing."""
_NAMES = frozenset({"user_name", "email"})
"""Of these that two look alike is evidence."""
SPELLED = 8
"""Letters at most."""


class Channel(StrEnum):
    """How a source said it, as a page names it."""

    SCIM = "SCIM"
    ROSTER = "Roster"
    LOGIN = "Login"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    account: Account
    connection: str
    state: str
    """`active`, `inactive`, `deleted`."""
    last_login_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One column. `row` is the Identity or the Account that it is about."""

    row: Identity | Account
    values: Mapping[str, tuple[str, ...]]
    sources: tuple[Source, ...]
    last_login_at: datetime | None
    groups: tuple[str, ...]
    more_groups: int = 0
    entitlements: tuple[str, ...] = ()
    channel: Channel | None = None
    """Where it is what an account says by one of its two channels, and not by both."""

    @property
    def is_identity(self) -> bool:
        return isinstance(self.row, Identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """`mark` compares it with the first column: `same`, `differs`, or nothing where one of the two says nothing.

    `letters` spells where names differ that look the same.
    """

    values: tuple[str, ...]
    mark: str = ""
    letters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    name: str
    label: str
    cells: list[Cell] = field(default_factory=list)


def of_identities(tenant_id: UUID, ids: Collection[UUID]) -> list[Side]:
    """In the order of `ids`; those that are not there are left out. A constant number of statements."""
    found = {
        row.pk: row
        for row in Identity.objects.with_state()
        .filter(tenant_id=tenant_id, pk__in=ids)
        .prefetch_related("holds")
    }
    accounts = defaultdict(list)
    for account in (
        Account.objects.filter(tenant_id=tenant_id, identity__in=found, deleted_at__isnull=True)
        .select_related("connection")
        .order_by("connection__precedence", "id")
    ):
        accounts[account.identity_id].append(account)
    groups = _groups(tenant_id, [account.pk for rows in accounts.values() for account in rows])
    return [_identity(found[key], accounts[key], groups) for key in ids if key in found]


def of_accounts(tenant_id: UUID, ids: Collection[UUID]) -> list[Side]:
    """In the order of `ids`; those that are not there are left out."""
    found = {
        row.pk: row
        for row in Account.objects.filter(tenant_id=tenant_id, pk__in=ids).select_related(
            "connection", "identity"
        )
    }
    groups = _groups(tenant_id, list(found))
    return [_account(found[key], groups.get(key, [])) for key in ids if key in found]


def of_sources(tenant_id: UUID, ids: Collection[UUID]) -> list[Side]:
    """Each account as what was delivered of it and as what its last login said: two that may contradict each other."""
    told = []
    for side in of_accounts(tenant_id, ids):
        account = side.row
        assert isinstance(account, Account)
        if account.confirmed_at:
            delivered = Channel.ROSTER if account.as_of else Channel.SCIM
            told.append(replace(side, values=delivered_by(account), channel=delivered))
        if account.assertion:
            brought = tuple(sorted(map(str, account.assertion.get("groups") or ())))
            told.append(
                replace(
                    side,
                    values=asserted_by(account),
                    channel=Channel.LOGIN,
                    groups=brought[:GROUPS_SHOWN],
                    more_groups=max(0, len(brought) - GROUPS_SHOWN),
                )
            )
    return told


def rows(sides: list[Side]) -> list[Row]:
    """What any of them says, the first one beside the others."""
    told = []
    for name, label in ATTRIBUTES:
        said = [side.values.get(name, ()) for side in sides]
        if any(said):
            told.append(
                Row(
                    name=name,
                    label=label,
                    cells=[
                        Cell(
                            values=values,
                            mark=_mark(name, said[0], values),
                            letters=_letters(values, said[0]) if name in _NAMES else (),
                        )
                        if number
                        else Cell(values=values)
                        for number, values in enumerate(said)
                    ],
                )
            )
    return told


def _mark(name: str, first: Iterable[str], other: Iterable[str]) -> str:
    mine, theirs = _comparable(name, first), _comparable(name, other)
    if not mine or not theirs:
        return ""
    if mine & theirs:
        return "same"
    return "" if name in _OWN_KEYS else "differs"


def _letters(values: Iterable[str], first: Iterable[str]) -> tuple[str, ...]:
    """By their code points: an eye, or a font, does not tell them apart."""
    pieces = [differing(one, other) for one in values for other in first if look_alike(one, other)]
    return tuple(f"{_spelled(here)}; the first column has {_spelled(there)}" for here, there in pieces)


def _spelled(letters: str) -> str:
    names = [f"U+{ord(letter):04X} {unicodedata.name(letter, '')}".strip() for letter in letters[:SPELLED]]
    return ", ".join(names + ["and more"] * (len(letters) > SPELLED)) or "nothing"


def _comparable(name: str, values: Iterable[str]) -> frozenset[str]:
    """As the evidence compares them: a number by its digits, a name whatever its accents and the order of its words."""
    if name == "phone":
        return digits(values)
    if name.endswith("_name") and name != "user_name":
        return frozenset(map(plain, values)) - {""}
    return frozenset(map(fold, values))


def person_of(account: Account) -> Person:
    """One account as a person to be weighed."""
    values = _values(account)
    key = (str(account.connection_id), account.external_id or "")
    return Person(
        hr_numbers=frozenset(values["hr_number"]),
        user_names=frozenset(values["user_name"]),
        emails=frozenset(values["email"]),
        phones=frozenset(values["phone"]),
        names=frozenset((*values["display_name"], " ".join((*values["given_name"], *values["family_name"]))))
        - {""},
        keys=frozenset([key]) if account.external_id and account.confirmed_at else frozenset(),
    )


def _identity(identity: Identity, accounts: list[Account], groups: Mapping[UUID, list[str]]) -> Side:
    said = [_values(account) for account in accounts]
    values = {
        name: _once([getattr(identity, name, "") or "", *(value for one in said for value in one[name])])
        for name, _ in ATTRIBUTES
    }
    named = sorted({name for account in accounts for name in groups.get(account.pk, ())})
    logins = [account.last_login_at for account in accounts if account.last_login_at]
    return Side(
        row=identity,
        values=values,
        sources=tuple(_source(account) for account in accounts),
        last_login_at=max(logins, default=identity.last_login),
        groups=tuple(named[:GROUPS_SHOWN]),
        more_groups=max(0, len(named) - GROUPS_SHOWN),
        entitlements=tuple(str(one) for one in Entitlement.objects.of_identity(identity)[:GROUPS_SHOWN]),
    )


def _account(account: Account, groups: list[str]) -> Side:
    return Side(
        row=account,
        values=_values(account),
        sources=(_source(account),),
        last_login_at=account.last_login_at,
        groups=tuple(groups[:GROUPS_SHOWN]),
        more_groups=max(0, len(groups) - GROUPS_SHOWN),
    )


def _source(account: Account) -> Source:
    return Source(
        account=account,
        connection=str(account.connection),
        state="deleted" if account.deleted_at else "active" if account.active else "inactive",
        last_login_at=account.last_login_at,
    )


def _values(account: Account) -> dict[str, tuple[str, ...]]:
    """What the account's connection says: SCIM's document, else the assertion."""
    delivered, asserted = _document_of(account), asserted_by(account)
    email = delivered["email"][:1] or asserted["email"]
    return {name: delivered[name] or asserted[name] for name, _ in ATTRIBUTES} | {
        "user_name": _once([account.user_name]),
        "external_id": _once([account.external_id or ""]),
        "email": _once([*email, *account.email_keys]),
    }


def delivered_by(account: Account) -> dict[str, tuple[str, ...]]:
    """What was pushed or listed of an account: nothing where only logins spoke."""
    return _document_of(account) if account.confirmed_at else {}


def asserted_by(account: Account) -> dict[str, tuple[str, ...]]:
    """What the last login said."""
    said = profile_of_assertion(account.assertion if isinstance(account.assertion, dict) else {})
    plain = {name: _once([getattr(said, name, "")]) for name, _ in ATTRIBUTES}
    return plain | {"external_id": _once([account.asserted_key or ""])}


def _document_of(account: Account) -> dict[str, tuple[str, ...]]:
    document = account.resource if isinstance(account.resource, dict) else {}
    pushed = profile_of_resource(document)
    plain = {name: _once([getattr(pushed, name, "")]) for name, _ in ATTRIBUTES}
    phones = document.get("phoneNumbers")
    kind = document.get("userType")
    return plain | {
        "user_name": _once([account.user_name]),
        "external_id": _once([account.external_id or ""]),
        "email": _once([pushed.email, *account.email_keys]),
        "phone": _once(
            [
                str(entry.get("value") or "")
                for entry in (phones if isinstance(phones, list) else ())
                if isinstance(entry, dict)
            ]
        ),
        "user_type": _once([kind if isinstance(kind, str) else ""]),
    }


def _once(values: Iterable[str]) -> tuple[str, ...]:
    """Each value once, whatever its case, as it was first said."""
    told: dict[str, str] = {}
    for value in values:
        if value:
            told.setdefault(fold(value), value)
    return tuple(told.values())


def _groups(tenant_id: UUID, accounts: list[UUID]) -> dict[UUID, list[str]]:
    named: dict[UUID, list[str]] = defaultdict(list)
    members: Any = (
        Membership.objects.filter(tenant_id=tenant_id, account__in=accounts)
        .order_by("group__display_name")
        .values_list("account_id", "group__display_name")
    )
    for account_id, name in members:
        named[account_id].append(name)
    return named
