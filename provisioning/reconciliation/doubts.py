"""What a person is asked about the stored facts: one row for each kind of finding. Knows no push, login or run.

A doubt is asked while it is there, and closes by itself when it has gone. Nobody's access depends on it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from provisioning.decision.reasons import FindingKind
from provisioning.decision.types import Severity
from provisioning.models import Connection
from provisioning.selectors import doubts as stored
from provisioning.selectors.doubts import Contradiction, Drift
from provisioning.services.questions import Asked, Question, ask, close_those_over

SEVERITY_OF_ATTRIBUTE = {
    # Two HR numbers are two people: the link may be wrong.
    "hr_number": Severity.HIGH,
    "user_type": Severity.MEDIUM,
    "email": Severity.MEDIUM,
    "roles": Severity.MEDIUM,
    "entitlements": Severity.MEDIUM,
    "family_name": Severity.LOW,
}
PRIVILEGES = frozenset({"roles", "entitlements"})
_GRAVEST = [Severity.HIGH, Severity.MEDIUM, Severity.LOW]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfTenant:
    """`look` answers the cases of one tenant."""

    kind: FindingKind
    question: str
    look: Callable[[UUID, datetime], Iterator[Question]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfConnection:
    """`look` answers the cases of one connection."""

    kind: FindingKind
    question: str
    look: Callable[[Connection, datetime], Iterator[Question]]


def duplicates(tenant_id: UUID, at: datetime) -> Iterator[Question]:
    for pair in stored.duplicates(tenant_id, at):
        yield Question(
            kind=FindingKind.DUPLICATE_IDENTITIES,
            severity=Severity.MEDIUM if pair.score.is_grave else Severity.LOW,
            mark=f"{pair.one}:{pair.other}",
            parts=frozenset(pair.score.in_favour),
            identity_id=pair.one,
            candidates=(pair.other,),
            evidence=pair.score.as_document(),
        )


def orphans(tenant_id: UUID, at: datetime) -> Iterator[Question]:
    for one in stored.orphans(tenant_id, at):
        yield Question(
            kind=FindingKind.ORPHAN_IDENTITY,
            # One silent connection makes very many of these, and is itself asked about before.
            severity=Severity.LOW if one.why == "quiet" else Severity.MEDIUM,
            mark=str(one.identity_id),
            # A source that was switched off is another case than one that is quiet, and so is its next silence.
            parts=frozenset(f"{one.why} {heard}" for heard in one.heard),
            identity_id=one.identity_id,
            evidence={"why": one.why, "connections": one.connections},
        )


def state_conflicts(tenant_id: UUID, at: datetime) -> Iterator[Question]:
    for identity_id, active, inactive in stored.state_conflicts(tenant_id):
        yield _states_of(identity_id, [f"{one} {other}" for one in active for other in inactive])


def _states_of(identity_id: UUID, pairs: Collection[str]) -> Question:
    """The opposite contradiction is another one, and so is that of one more account."""
    sides = [pair.split() for pair in pairs]
    return Question(
        kind=FindingKind.STATES_DIFFER,
        severity=Severity.MEDIUM,
        mark=str(identity_id),
        parts=frozenset(pairs),
        only=partial(_states_of, identity_id),
        identity_id=identity_id,
        evidence={
            "active": sorted({active for active, _ in sides}),
            "inactive": sorted({inactive for _, inactive in sides}),
        },
    )


def attribute_conflicts(tenant_id: UUID, at: datetime) -> Iterator[Question]:
    for identity_id, found in stored.attribute_conflicts(tenant_id):
        by_part: dict[str, list[Contradiction]] = defaultdict(list)
        for one in found:
            for part in _parts_of(one):
                by_part[part].append(one)
        yield _conflict_of(identity_id, by_part, by_part)


def _parts_of(one: Contradiction) -> list[str]:
    """Another value is another contradiction, whatever was said about the first one.

    Two values contradict each other whichever source says which. A privilege counts by itself, and by who gives it.
    """
    first, second = one.values
    if one.attribute not in PRIVILEGES:
        return ["\0".join([one.attribute, *(" ".join(values) for values in sorted(one.values))])]
    return [
        "\0".join([one.attribute, name, connection])
        for connection, names in zip(
            one.connections, ({*first} - {*second}, {*second} - {*first}), strict=True
        )
        for name in names
    ]


def _conflict_of(
    identity_id: UUID, by_part: Mapping[str, list[Contradiction]], parts: Collection[str]
) -> Question:
    told = [one for part in parts for one in by_part[part]]
    names = sorted({one.attribute for one in told})
    return Question(
        kind=FindingKind.ATTRIBUTE_CONFLICT,
        severity=min((SEVERITY_OF_ATTRIBUTE[name] for name in names), key=_GRAVEST.index),
        mark=str(identity_id),
        parts=frozenset(parts),
        only=partial(_conflict_of, identity_id, by_part),
        identity_id=identity_id,
        evidence={
            "attributes": names,
            "sources": sorted({source for one in told for source in one.sources}),
        },
    )


def held_members(tenant_id: UUID, at: datetime) -> Iterator[Question]:
    for one in stored.held_members(tenant_id, at):
        by_part = {}
        for group, entitlement, staff in one.gives:
            # Whoever is let in and held again is another case.
            part = f"{one.since.isoformat()} {group} {entitlement}"
            by_part[part] = group
            if staff:
                by_part[f"{part} staff"] = group
        yield _held_in(one.identity_id, by_part, by_part)


def _held_in(identity_id: UUID, by_part: Mapping[str, str], parts: Collection[str]) -> Question:
    """Another group is another case, and so is one that gives more than it did."""
    return Question(
        kind=FindingKind.HELD_KEEPS_GROUPS,
        severity=Severity.LOW,
        mark=str(identity_id),
        parts=frozenset(parts),
        only=partial(_held_in, identity_id, by_part),
        identity_id=identity_id,
        evidence={"groups": len({by_part[part] for part in parts})},
    )


def unreachable_entitlements(tenant_id: UUID, at: datetime) -> Iterator[Question]:
    for entitlement_id, why in stored.unreachable_entitlements(tenant_id):
        yield Question(
            kind=FindingKind.ENTITLEMENT_UNREACHABLE,
            severity=Severity.LOW,
            mark=str(entitlement_id),
            # Groups that are empty may fill; no group never does.
            parts=frozenset([why]),
            evidence={"entitlement": str(entitlement_id), "why": why},
        )


def ownerless(tenant_id: UUID, at: datetime) -> Iterator[Question]:
    for one in stored.ownerless(tenant_id, at):
        yield Question(
            kind=FindingKind.OWNERLESS,
            severity=Severity.MEDIUM,
            mark=f"{one.id}:{one.owner_id or ''}",
            # An owner who came back may leave again; and what administers is more than what does not.
            parts=frozenset([f"since {one.left_at or ''}", *(["administers"] if one.administers else [])]),
            connection_id=one.connection_id,
            identity_id=one.identity_id,
            evidence={
                "what": one.what,
                one.what: str(one.id),
                **({"owner": str(one.owner_id)} if one.owner_id else {}),
            },
        )


def stale_connections(tenant_id: UUID, at: datetime) -> Iterator[Question]:
    for connection in stored.stale_connections(tenant_id, at):
        last = connection.last_push_at.isoformat() if connection.last_push_at else ""
        yield Question(
            kind=FindingKind.CONNECTION_STALE,
            severity=Severity.MEDIUM,
            # A push ends the case, so that the next silence is another one.
            mark=f"{connection.pk}:{last}",
            connection_id=connection.pk,
            evidence={
                "last_push_at": last,
                "days": connection.stale_push_days,
            },
        )


def overdue_listings(tenant_id: UUID, at: datetime) -> Iterator[Question]:
    for one in stored.overdue_listings(tenant_id, at):
        last = one.last_complete.isoformat() if one.last_complete else ""
        yield Question(
            kind=FindingKind.LISTING_OVERDUE,
            severity=Severity.MEDIUM,
            # A complete listing ends the case, so that the next gap is another one.
            mark=f"{one.connection_id}:{last}",
            connection_id=one.connection_id,
            evidence={"last_complete": last, "code": one.code},
        )


def unlinked(connection: Connection, at: datetime) -> Iterator[Question]:
    for account_id, taken_off in stored.unlinked(connection):
        yield Question(
            kind=FindingKind.ORPHAN_ACCOUNT,
            severity=Severity.MEDIUM,
            # Whose it is was said; taken off that person it is nobody's anew.
            mark=f"{account_id}:{taken_off.isoformat()}" if taken_off else str(account_id),
            connection_id=connection.pk,
            account_id=account_id,
        )


def dormant(connection: Connection, at: datetime) -> Iterator[Question]:
    for account_id, identity_id, last_login_at in stored.dormant(connection, at):
        yield Question(
            kind=FindingKind.DORMANT,
            severity=Severity.LOW,
            # A login ends the case, so that the next silence is another one.
            mark=f"{account_id}:{last_login_at.isoformat()}",
            connection_id=connection.pk,
            account_id=account_id,
            identity_id=identity_id,
            evidence={"days": connection.dormant_days},
        )


def group_drift(connection: Connection, at: datetime) -> Iterator[Question]:
    given = stored.given_by_groups(connection)
    for one in stored.group_drift(connection):
        by_part: dict[str, tuple[str, str]] = {}
        for side, values in (("only_logins", one.only_logins), ("only_scim", one.only_scim)):
            for value in values:
                parts = [f"{side}\0{value}"]
                for entitlement, staff in given.get(value, ()):
                    parts += [f"{side}\0{value}\0{entitlement}"]
                    parts += [f"{side}\0{value}\0{entitlement}\0staff"] if staff else []
                by_part |= dict.fromkeys(parts, (side, value))
        yield _drift_of(connection, one, by_part, by_part)


def _drift_of(
    connection: Connection, one: Drift, by_part: Mapping[str, tuple[str, str]], parts: Collection[str]
) -> Question:
    """Another group is another case, and so is one that stands for more than it did."""
    groups = Counter(side for side, _ in {by_part[part] for part in parts})
    return Question(
        kind=FindingKind.GROUPS_DIFFER,
        severity=Severity.LOW,
        mark=str(one.account_id),
        parts=frozenset(parts),
        only=partial(_drift_of, connection, one, by_part),
        connection_id=connection.pk,
        account_id=one.account_id,
        identity_id=one.identity_id,
        evidence={"only_logins": groups["only_logins"], "only_scim": groups["only_scim"]},
    )


def privileged_unmapped(connection: Connection, at: datetime) -> Iterator[Question]:
    for attribute, count, ids, names in stored.privileged_unmapped(connection):
        yield Question(
            kind=FindingKind.PRIVILEGED_UNMAPPED,
            severity=Severity.MEDIUM,
            mark=f"{connection.pk}:{attribute}",
            # Whoever has looked at one role has said nothing of another.
            parts=frozenset(names),
            connection_id=connection.pk,
            evidence={
                "attribute": attribute,
                "count": count,
                ("groups" if attribute == "groups" else "accounts"): [str(one) for one in ids],
            },
        )


def placeholder_keys(connection: Connection, at: datetime) -> Iterator[Question]:
    for attribute, count, ids, words in stored.placeholder_keys(connection):
        yield Question(
            kind=FindingKind.PLACEHOLDER_KEYS,
            severity=Severity.MEDIUM,
            mark=f"{connection.pk}:{attribute}",
            # Another word is another mistake of the set-up.
            parts=frozenset(words),
            connection_id=connection.pk,
            evidence={"attribute": attribute, "count": count, "accounts": [str(one) for one in ids]},
        )


def left_out(connection: Connection, at: datetime) -> Iterator[Question]:
    for of, number in stored.left_out(connection):
        yield Question(
            kind=FindingKind.LEFT_OUT,
            severity=Severity.LOW,
            mark=f"{connection.pk}:{of}",
            connection_id=connection.pk,
            evidence={"run": of, "items": number},
        )


K = FindingKind

OF_TENANT = (
    OfTenant(kind=K.DUPLICATE_IDENTITIES, question="Which two may be one person?", look=duplicates),
    OfTenant(kind=K.ORPHAN_IDENTITY, question="For whom does no live source vouch?", look=orphans),
    OfTenant(kind=K.STATES_DIFFER, question="Who is active here and inactive there?", look=state_conflicts),
    OfTenant(
        kind=K.ATTRIBUTE_CONFLICT,
        question="Of whom do two sources say what cannot both be so?",
        look=attribute_conflicts,
    ),
    OfTenant(
        kind=K.HELD_KEEPS_GROUPS, question="Who is held and still in groups that give?", look=held_members
    ),
    OfTenant(
        kind=K.ENTITLEMENT_UNREACHABLE,
        question="Which entitlement does nobody have?",
        look=unreachable_entitlements,
    ),
    OfTenant(kind=K.OWNERLESS, question="What has no owner who may sign in?", look=ownerless),
    OfTenant(kind=K.CONNECTION_STALE, question="Which IdP has fallen silent?", look=stale_connections),
    OfTenant(kind=K.LISTING_OVERDUE, question="Which nightly listing is overdue?", look=overdue_listings),
)

OF_CONNECTION = (
    OfConnection(kind=K.ORPHAN_ACCOUNT, question="Which account is nobody's, and unasked?", look=unlinked),
    OfConnection(kind=K.DORMANT, question="Who has not signed in for long?", look=dormant),
    OfConnection(
        kind=K.GROUPS_DIFFER, question="Whose logins bring other groups than SCIM?", look=group_drift
    ),
    OfConnection(
        kind=K.PRIVILEGED_UNMAPPED,
        question="What looks like privilege, and gives nothing here?",
        look=privileged_unmapped,
    ),
    OfConnection(kind=K.PLACEHOLDER_KEYS, question="Where does a key say nothing?", look=placeholder_keys),
    OfConnection(kind=K.LEFT_OUT, question="What do runs leave out, as somebody said?", look=left_out),
)


def ask_tenant(tenant_id: UUID, at: datetime) -> dict[str, Asked]:
    """Looks at everything that one tenant's facts leave open: kind -> what became of it."""
    closed = close_those_over(tenant_id, at)
    told = {"": Asked(opened=0, known=0, closed=closed)}
    for doubt in OF_TENANT:
        told[doubt.kind] = ask(tenant_id, [doubt.kind], doubt.look(tenant_id, at), at)
    connections = Connection.objects.filter(tenant_id=tenant_id).exclude(status=Connection.Status.DRAFT)
    for connection in connections.order_by("id"):
        for row in OF_CONNECTION:
            asked = ask(tenant_id, [row.kind], row.look(connection, at), at, connection_id=connection.pk)
            before = told.get(row.kind, Asked(opened=0, known=0, closed=0))
            told[row.kind] = Asked(
                opened=before.opened + asked.opened,
                known=before.known + asked.known,
                closed=before.closed + asked.closed,
            )
    return told
