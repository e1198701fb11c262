"""Everything on record about one person, from every source, in one list with the newest first. Knows no page.

A page costs the same number of statements whatever is on it. What is told: decisions and acts (the audit, under every
id that has meant the person), refused SCIM requests that came to no decision, findings, memberships, and the rosters
that are kept. What a run only reported is on the run's own page, and in its findings.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from identity_hub.core.ids import as_uuid
from provisioning.decision.keys import fold
from provisioning.decision.reasons import Act
from provisioning.decision.types import Channel
from provisioning.models import (
    Account,
    AuditRecord,
    DirectoryGroup,
    Finding,
    Identity,
    Roster,
    RosterRow,
    ScimRequest,
)
from provisioning.models.requests import wording

from . import request_log, timeline
from .merges import all_ids

AT_ONCE = 50

SOURCES = {
    Channel.SCIM.value: "SCIM",
    Channel.SAML.value: "Sign-in",
    Channel.ROSTER.value: "Reconciliation",
    Channel.ADMIN.value: "Administrators",
}


def _told(*changes: str) -> Q:
    condition = Q()
    for change in changes:
        condition |= Q(changes__contains=[{"change": change}])
    return condition


_OF_THE_ENDED = (Act.MERGED_INTO.value, Act.STANDS_AGAIN.value)

KINDS: dict[str, tuple[str, Q]] = {
    "login": ("Logins", Q(reason__startswith="login:") | Q(reason="identity:local-signed-in")),
    "push": ("Pushes", Q(channel=Channel.SCIM, reason__startswith="account:")),
    "hold": ("Holds", _told("PlaceHold", "LiftHold", "LiftCarried", "MoveHold")),
    "link": (
        "Links and merges",
        _told("LinkAccount", "UnlinkAccount", "MergeIdentities", "UnmergeIdentities")
        | Q(reason__in=_OF_THE_ENDED),
    ),
    "override": ("Overrides", _told("SetOverride", "EndOverride")),
    "group": ("Groups", Q(reason__startswith="group:")),
    "finding": ("Findings", Q(reason__startswith="finding:") | _told("OpenFinding", "CloseFinding")),
    "roster": ("Rosters and runs", Q(channel=Channel.ROSTER)),
    "session": (
        "Sessions",
        _told("EndSessions") | Q(reason__startswith="identity:session") | Q(reason=Act.OTHER_SESSIONS_ENDED),
    ),
    "refused": ("Refused", Q(verdict__in=("refused", "pending"))),
}
"""Kind -> what a filter calls it, and which audit records are of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """`page` is the model of the page it leads to; of a search the key is what is looked for."""

    page: str
    label: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    at: datetime
    source: str
    sentence: str
    reason: str
    refused: bool = False
    actor: str = ""
    connection: str = ""
    said: str = ""
    """What the administrator wrote."""
    lines: list[tuple[str, str, str]] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    rank: tuple[int, int] = (0, 0)
    """Among those of one moment: the later one is told first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    entries: list[Entry]
    older: datetime | None
    """Asked with next; None at the end."""


def page(
    identity: Identity,
    *,
    source: str = "",
    kind: str = "",
    before: datetime | None = None,
    limit: int = AT_ONCE,
) -> Page:
    """The newest entries of one source and kind (all, where none is named) from before a moment."""
    person = _Person.of(identity)
    asked = _Asked(source=source, kind=kind, before=before, most=limit + 1)
    entries = [
        *_audited(person, asked),
        *_in_groups(person, asked),
        *_asked_for(person, asked),
        *_found(person, asked),
        *_listed(person, asked),
    ]
    entries.sort(key=lambda entry: (entry.at, entry.rank), reverse=True)
    if len(entries) <= limit:
        return Page(entries=entries, older=None)
    last = entries[limit - 1].at
    shown = [entry for entry in entries if entry.at >= last]
    return Page(entries=shown, older=last if len(shown) < len(entries) else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    identity: Identity
    ids: list[UUID]
    accounts: dict[UUID, Account]

    @classmethod
    def of(cls, identity: Identity) -> "_Person":
        rows = Account.objects.filter(tenant_id=identity.tenant_id, identity=identity)
        rows = rows.select_related("connection").only(
            "id", "connection", "connection__name", "user_name", "user_name_key", "external_id", "deleted_at"
        )
        return cls(identity=identity, ids=all_ids(identity), accounts={row.pk: row for row in rows})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    source: str
    kind: str
    before: datetime | None
    most: int

    def of(self, source: Channel, *kinds: str) -> bool:
        """Whether entries of this source and of these kinds are asked for."""
        return self.source in ("", source) and (not self.kind or self.kind in kinds)

    def newest(self, rows: Any, column: str = "at") -> list[Any]:
        """What happened together is told together, however much it is: the next page begins before that moment."""
        if self.before is not None:
            rows = rows.filter(**{f"{column}__lt": self.before})
        rows = rows.order_by(f"-{column}", "-pk")
        found = list(rows[: self.most])
        if len(found) < self.most:
            return found
        last = getattr(found[-1], column)
        later = [row for row in found if getattr(row, column) > last]
        return [*later, *rows.filter(**{column: last})]


def _audited(person: _Person, asked: _Asked) -> Iterable[Entry]:
    rows = AuditRecord.objects.filter(
        Q(identity_id__in=person.ids) | Q(account_id__in=list(person.accounts)),
        tenant_id=person.identity.tenant_id,
    )
    # Told of the one who ended; whoever stands for her has the merge's own record.
    rows = rows.exclude(Q(reason__in=_OF_THE_ENDED) & ~Q(identity_id=person.identity.pk))
    return _entries(person, _narrowed(rows, asked), asked)


def _in_groups(person: _Person, asked: _Asked) -> Iterable[Entry]:
    """Groups tell of their members by the accounts' ids, the first hundred of a request."""
    if not asked.of(Channel.SCIM, "group") and not asked.of(Channel.ROSTER, "group", "roster"):
        return []
    members = Q()
    for account_id in person.accounts:
        members |= Q(changes__contains=[{"members": [str(account_id)]}])
    if not members:
        return []
    rows = AuditRecord.objects.filter(
        members, tenant_id=person.identity.tenant_id, reason__startswith="group:", verdict="applied"
    )
    return _entries(person, _narrowed(rows, asked), asked)


def _narrowed(rows: Any, asked: _Asked) -> Any:
    if asked.source:
        rows = rows.filter(channel=asked.source)
    return rows.filter(KINDS[asked.kind][1]) if asked.kind in KINDS else rows


def _entries(person: _Person, rows: Any, asked: _Asked) -> list[Entry]:
    records = asked.newest(rows)
    if not records:
        return []
    objects = {record.object_id for record in records if record.reason.startswith("group:")}
    groups = dict(
        DirectoryGroup.objects.filter(tenant_id=person.identity.tenant_id, pk__in=objects).values_list(
            "pk", "display_name"
        )
    )
    return [
        Entry(
            at=event.at,
            source=event.channel,
            sentence=_sentence(record, event.sentence, groups),
            reason=event.reason,
            refused=event.refused,
            actor=event.actor,
            connection=event.connection,
            said=str(event.values.get("reason", "")),
            lines=event.lines,
            links=list(_links(person, record, groups)),
            rank=(1, event.id),
        )
        for record, event in zip(records, timeline.told(records, person.identity.tenant_id), strict=True)
    ]


def _sentence(record: AuditRecord, meaning: str, groups: dict[UUID, str]) -> str:
    name = groups.get(record.object_id) if record.object_id else None
    if name is None:
        return meaning
    change = record.changes[0] if record.changes else {}
    match bool(change.get("added")), bool(change.get("removed")):
        case True, False:
            return f"Put into the group {name}."
        case False, True:
            return f"Taken out of the group {name}."
    return f"The members of {name} changed."


def _links(person: _Person, record: AuditRecord, groups: dict[UUID, str]) -> Iterable[Link]:
    yield Link(page="auditrecord", label="Record", key=str(record.pk))
    if record.account_id in person.accounts:
        name = person.accounts[record.account_id].user_name or "its account"
        yield Link(page="account", label=f"Account {name}", key=str(record.account_id))
    run = as_uuid(record.request_id) if record.channel == Channel.ROSTER else None
    if run:
        yield Link(page="reconciliationrun", label="Run", key=str(run))
    if record.channel == Channel.SAML and record.request_id:
        yield Link(page="loginattempt", label="Attempt", key=record.request_id)
    if record.channel == Channel.SCIM and record.request_id:
        yield Link(page="scimrequest", label="Request", key=record.request_id)
    if record.object_id in groups:
        yield Link(page="directorygroup", label=groups[record.object_id], key=str(record.object_id))
    elif record.object_id and record.reason.startswith("finding:"):
        yield Link(page="finding", label="Finding", key=str(record.object_id))
    for change in record.changes:
        for key in (change.get("identity_id"), change.get("former_identity_id")):
            other = (
                as_uuid(str(key))
                if change.get("change") in ("MergeIdentities", "UnmergeIdentities")
                else None
            )
            if other and other != person.identity.pk:
                yield Link(page="identity", label="The other identity", key=str(other))


def _asked_for(person: _Person, asked: _Asked) -> Iterable[Entry]:
    """Requests that were refused before anything was decided: the audit does not know them."""
    if not asked.of(Channel.SCIM, "push", "refused") or person.identity.tenant_id is None:
        return []
    rows = request_log.refused(request_log.about(ScimRequest.objects.all(), person.identity))
    found = asked.newest(rows)
    decided = set(
        AuditRecord.objects.filter(
            tenant_id=person.identity.tenant_id,
            request_id__in=[row.request_id for row in found if row.request_id],
        ).values_list("request_id", flat=True)
    )
    names = {account.connection_id: account.connection.name for account in person.accounts.values()}
    return [
        Entry(
            at=row.at,
            source=Channel.SCIM.value,
            sentence=f"{wording(row.action)}: {row.detail or row.scim_type or row.status}",
            reason=row.reason or f"{row.status} {row.scim_type}".strip(),
            refused=True,
            actor="SCIM",
            connection=names.get(row.connection_id, ""),
            links=[Link(page="scimrequest-row", label="Request", key=str(row.pk))],
            rank=(0, row.pk),
        )
        for row in found
        if row.request_id not in decided
    ]


def _found(person: _Person, asked: _Asked) -> Iterable[Entry]:
    """When a finding was opened; that it was decided is an act of its own."""
    if not asked.of(Channel.ROSTER, "finding"):
        return []
    rows = Finding.objects.filter(
        Q(identity_id__in=person.ids) | Q(account_id__in=list(person.accounts)),
        tenant_id=person.identity.tenant_id,
    ).select_related("connection")
    return [
        Entry(
            at=row.opened_at,
            source=Channel.ROSTER.value,
            sentence=timeline.meaning(row.kind),
            reason=row.kind,
            actor=f"Finding, {row.get_status_display().lower()}",
            connection=row.connection.name if row.connection else "",
            links=[Link(page="finding", label="Finding", key=str(row.pk))],
            rank=(2, 0),
        )
        for row in asked.newest(rows, "opened_at")
    ]


def _listed(person: _Person, asked: _Asked) -> Iterable[Entry]:
    """What the rosters that are kept say, or leave out, of each live account."""
    if not asked.of(Channel.ROSTER, "roster"):
        return []
    live = [account for account in person.accounts.values() if account.deleted_at is None]
    rosters = asked.newest(
        Roster.objects.filter(
            tenant_id=person.identity.tenant_id,
            connection_id__in={account.connection_id for account in live},
            status=Roster.Status.COMPLETE,
        ),
        "as_of",
    )
    if not rosters:
        return []
    keys = Q(external_id__in=[a.external_id for a in live if a.external_id])
    keys |= Q(user_name_key__in=[fold(a.user_name) for a in live])
    rows = RosterRow.objects.filter(
        keys, tenant_id=person.identity.tenant_id, roster_id__in=[roster.pk for roster in rosters]
    ).only("roster_id", "line", "active", "external_id", "user_name_key")
    by_roster: dict[UUID, list[RosterRow]] = {}
    for row in rows:
        by_roster.setdefault(row.roster_id, []).append(row)
    return [
        _of_roster(roster, account, by_roster.get(roster.pk, []))
        for roster in rosters
        for account in live
        if account.connection_id == roster.connection_id
    ]


def _of_roster(roster: Roster, account: Account, rows: list[RosterRow]) -> Entry:
    row = next((one for one in rows if account.external_id and one.external_id == account.external_id), None)
    row = row or next((one for one in rows if one.user_name_key == account.user_name_key), None)
    if row is None:
        sentence, reason = "A complete roster does not list this account.", "roster:missing"
    elif row.active:
        sentence, reason = f"A roster lists this account, in line {row.line}.", "roster:listed"
    else:
        sentence, reason = f"A roster lists this account as inactive, in line {row.line}.", "roster:inactive"
    return Entry(
        at=roster.as_of,
        source=Channel.ROSTER.value,
        sentence=sentence,
        reason=reason,
        actor="Roster",
        connection=account.connection.name,
        links=[
            Link(page="roster", label="Roster", key=str(roster.pk)),
            Link(page="account", label=f"Account {account.user_name}", key=str(account.pk)),
        ],
        rank=(3, 0),
    )
