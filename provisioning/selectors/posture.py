"""What of a tenant's people is looked after, and what is not: the questions, and the queries that answer them.

A measure is a row of `MEASURES`. What its figure means is judged in `decision.posture`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Case, Count, Exists, F, Max, OuterRef, Q, QuerySet, When
from django.db.models.functions import Least

from identity_hub.core.ids import as_uuid, first_id
from provisioning import sql
from provisioning.decision import posture as judge
from provisioning.decision.posture import Check, Cover, Figure, Judged, Named, Revocation
from provisioning.decision.reasons import DEACTIVATIONS, Act, Reason
from provisioning.decision.types import Channel, Verdict
from provisioning.idp_metadata import Unusable, describe
from provisioning.models import (
    Account,
    AssertedGroup,
    AuditRecord,
    Connection,
    EntitlementMapping,
    Finding,
    Hold,
    Identity,
    Membership,
    OutboxMessage,
    ReconciliationRun,
    Roster,
    ScimClient,
    ScimToken,
    Session,
)

from . import overview
from .connections import IN_USE, rules
from .credentials import live
from .reconciliation import approved_since, asked_about

NAMED_AT_MOST = 5
CONNECTIONS_AT_MOST = 500
PEOPLE_AT_MOST = 100_000
JOINERS_AT_MOST = 50_000
RECORDS_AT_MOST = 100
"""Accounts without a directory, and people who joined, that are looked at: of more, these are the numbers.

And the newest records of one person.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    name: str
    title: str
    question: str
    ask: Callable[[UUID, datetime], Figure]
    judge: Callable[[Figure], Judged]
    remedy: str
    """What to do where it is not covered."""
    page: str
    """Where one does it: what `admin` makes an address of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One measure, answered."""

    measure: Measure
    figure: Figure
    judged: Judged


def posture(tenant_id: UUID, at: datetime, *, enabled: int | None = None) -> list[Line]:
    """Every measure, what is not covered first. `enabled` people, where somebody has just counted them."""
    lines = []
    for measure in MEASURES:
        figure = unmanaged(tenant_id, at, enabled) if measure.ask is unmanaged else measure.ask(tenant_id, at)
        lines.append(Line(measure=measure, figure=figure, judged=measure.judge(figure)))
    return sorted(lines, key=lambda line: judge.most_urgent_first(line.judged.cover))


def as_document(lines: Sequence[Line], at: datetime) -> dict[str, Any]:
    """The same for machines. Ids stand for people."""
    return {
        "at": at,
        "covered": _number(lines, Cover.COVERED),
        "not_covered": _number(lines, Cover.NOT_COVERED),
        "cannot_say": _number(lines, Cover.CANNOT_SAY),
        "measures": [
            {
                "measure": line.measure.name,
                "question": line.measure.question,
                "verdict": line.judged.cover.value,
                "shown": line.judged.shown,
                "number": line.figure.number,
                "of": line.figure.of,
                "sentence": line.judged.sentence,
                "remedy": line.measure.remedy,
                "parts": dict(line.figure.parts),
                "cases": [
                    {"kind": case.kind, "id": str(case.id), "name": case.name} for case in line.figure.cases
                ],
                "revocations": [
                    {
                        "identity": str(one.identity_id),
                        "at": one.at,
                        "proven": one.proven,
                        "seconds": one.seconds,
                        **{
                            name: {"proven": check.proven, "seconds": check.seconds}
                            for name, check in zip(
                                ("sessions", "credentials", "entitlements"), one.checks, strict=True
                            )
                        },
                    }
                    for one in line.figure.revocations
                ],
            }
            for line in lines
        ],
    }


def _number(lines: Sequence[Line], cover: Cover) -> int:
    return sum(line.judged.cover is cover for line in lines)


def _of_connections(
    looked_at: QuerySet[Connection], left_out: QuerySet[Connection], told: Callable[[Any], str] = str
) -> Figure:
    found = list(left_out.order_by("name", "id")[:CONNECTIONS_AT_MOST])
    return Figure(
        number=len(found),
        of=looked_at.count(),
        cases=[Named(kind="connection", id=row.pk, name=told(row)) for row in found[:NAMED_AT_MOST]],
    )


def _in_use(tenant_id: UUID) -> QuerySet[Connection]:
    return Connection.objects.filter(tenant_id=tenant_id, status__in=IN_USE)


def _listed_since(since: datetime) -> Exists:
    """A complete listing that speaks of a time since then."""
    return Exists(
        Roster.objects.filter(
            tenant=OuterRef("tenant"),
            connection=OuterRef("pk"),
            status=Roster.Status.COMPLETE,
            as_of__gte=since,
        )
    )


def jit_lifecycle(tenant_id: UUID, at: datetime) -> Figure:
    making = _in_use(tenant_id).filter(jit=Connection.JitMode.CREATE)
    pushes = Q(scim_enabled=True, last_push_at__isnull=False) & Q(
        Exists(live(at).filter(tenant=OuterRef("tenant"), connection=OuterRef("pk")))
        | Exists(
            ScimClient.objects.filter(
                tenant=OuterRef("tenant"), connection=OuterRef("pk"), revoked_at__isnull=True
            )
        )
    )
    heard = pushes | Q(_listed_since(at - judge.ROSTER_WITHIN))
    return _of_connections(making, making.exclude(heard))


def rosters(tenant_id: UUID, at: datetime) -> Figure:
    rows = _in_use(tenant_id)
    return _of_connections(rows, rows.exclude(_listed_since(at - judge.ROSTER_WITHIN)))


def stale(tenant_id: UUID, at: datetime) -> Figure:
    rows = _in_use(tenant_id).filter(scim_enabled=True, last_push_at__isnull=False)
    silent = [
        row
        for row in rows.order_by("name", "id")[:CONNECTIONS_AT_MOST]
        if row.last_push_at
        < at - (timedelta(days=row.stale_push_days) if row.stale_push_days else judge.STALE_AFTER)
    ]
    return Figure(
        number=len(silent),
        of=rows.count(),
        cases=[Named(kind="connection", id=row.pk, name=row.name) for row in silent[:NAMED_AT_MOST]],
    )


def runs(tenant_id: UUID, at: datetime) -> Figure:
    rows = Connection.objects.filter(
        tenant_id=tenant_id, status=Connection.Status.ACTIVE, created_at__lt=at - judge.RUN_WITHIN
    )
    finished = ReconciliationRun.objects.filter(
        tenant=OuterRef("tenant"),
        connection=OuterRef("pk"),
        status=ReconciliationRun.Status.DONE,
        finished_at__gte=at - judge.RUN_WITHIN,
    )
    return _of_connections(rows, rows.exclude(Exists(finished)))


def quarantine(tenant_id: UUID, at: datetime) -> Figure:
    waiting = ReconciliationRun.objects.filter(
        tenant=OuterRef("tenant"),
        connection=OuterRef("pk"),
        status=ReconciliationRun.Status.QUARANTINED,
    )
    rows = _in_use(tenant_id)
    return _of_connections(rows, rows.filter(Exists(waiting)))


def switches(tenant_id: UUID, at: datetime) -> Figure:
    rows = Connection.objects.filter(tenant_id=tenant_id)
    return _of_connections(
        rows, rows.exclude(stopped={}), lambda row: f"{row} ({', '.join(sorted(row.stopped))})"
    )


# Whoever has a confirmed account has somebody who vouches: only those with another one, or none, are looked at.
_UNMANAGED = """
WITH doubtful AS (
    SELECT DISTINCT identity_id FROM (
        SELECT identity_id FROM provisioning_account
         WHERE tenant_id = %(tenant)s AND deleted_at IS NULL AND confirmed_at IS NULL AND identity_id IS NOT NULL
        UNION ALL
        SELECT a.identity_id FROM provisioning_connection c
          JOIN provisioning_account a ON a.tenant_id = c.tenant_id AND a.connection_id = c.id
         WHERE c.tenant_id = %(tenant)s AND c.status = 'disabled' AND a.deleted_at IS NULL
           AND a.identity_id IS NOT NULL
    ) every LIMIT %(most)s
), alone AS (
    SELECT 'accounts that only logins made' AS part, d.identity_id FROM doubtful d WHERE NOT EXISTS (
        SELECT FROM provisioning_account a
          JOIN provisioning_connection c ON c.tenant_id = a.tenant_id AND c.id = a.connection_id
         WHERE a.tenant_id = %(tenant)s AND a.identity_id = d.identity_id AND a.deleted_at IS NULL
           AND a.confirmed_at IS NOT NULL AND c.status <> 'disabled')
    UNION ALL
    SELECT 'local identities', i.id FROM provisioning_identity i
     WHERE i.tenant_id = %(tenant)s AND i.local AND NOT i.break_glass AND i.kind = 'person'
)
SELECT part, count(*) FROM alone
 WHERE NOT EXISTS (SELECT FROM provisioning_hold h
                    WHERE h.tenant_id = %(tenant)s AND h.identity_id = alone.identity_id)
 GROUP BY part ORDER BY part
"""


def unmanaged(tenant_id: UUID, at: datetime, enabled: int | None = None) -> Figure:
    parts = dict(sql.rows(_UNMANAGED, {"tenant": tenant_id, "most": PEOPLE_AT_MOST}, prepared=False))
    of = overview.people(tenant_id).enabled if enabled is None else enabled
    return Figure(number=sum(parts.values()), of=of, parts=parts)


def unconfirmed(tenant_id: UUID, at: datetime) -> Figure:
    rows = Account.objects.filter(tenant_id=tenant_id, confirmed_at__isnull=True, deleted_at__isnull=True)
    ids = list(
        Connection.objects.filter(tenant_id=tenant_id).values_list("pk", flat=True)[:CONNECTIONS_AT_MOST]
    )
    overdue = Q(pk__in=[])
    for connection_id, policy in rules(tenant_id, ids).policies.items():
        mine = Q(connection_id=connection_id)
        if policy.has_lifecycle_source:
            if (limit := policy.confirmed_by(at)) is not None:
                overdue |= mine & Q(created_at__lt=limit) & ~approved_since(tenant_id, limit)
        else:
            since = at - policy.jit_idle_grace
            idle = Q(created_at__lt=since) & ~Q(last_login_at__gte=since)
            overdue |= mine & idle & ~approved_since(tenant_id, since)
    held = Hold.objects.filter(tenant=OuterRef("tenant"), identity=OuterRef("identity"))
    late = rows.filter(overdue, ~Exists(held), ~asked_about(tenant_id), identity__isnull=False)
    return Figure(number=late.count(), of=rows.count())


def review(tenant_id: UUID, at: datetime) -> Figure:
    ages = {age: sum(by.values()) for age, by in overview.findings(tenant_id, at).by_age.items()}
    overdue = Finding.objects.filter(tenant_id=tenant_id).overdue(at)
    return Figure(number=overdue.count(), of=sum(ages.values()), parts=ages)


# What administrators do about themselves, or to somebody's sessions alone, mends no joiner. A merge is told of both
# people, and counts with the one who stays; an undo tells of each item, and counts with its order.
_NO_INTERVENTION = (
    Act.MERGED_INTO,
    Act.STANDS_AGAIN,
    Reason.ITEM_UNDONE,
    Act.LOCAL_CREATED,
    Act.LOCAL_SIGNED_IN,
    Act.PASSWORD_SET,
    Act.SESSION_ENDED,
    Act.SESSIONS_ENDED,
    Act.OTHER_SESSIONS_ENDED,
    Act.PREFERENCES_SET,
)
# What tells of no person and is about people all the same.
_OF_NOBODY = (Reason.FINDING_CLOSED, Act.RUN_UNDO_ORDERED)


def interventions(tenant_id: UUID, at: datetime) -> Figure:
    since = at - judge.LOOK_BACK
    acts = (
        AuditRecord.objects.filter(
            Q(identity_id__isnull=False) | Q(account_id__isnull=False) | Q(reason__in=_OF_NOBODY),
            tenant_id=tenant_id,
            channel=Channel.ADMIN.value,
            at__gte=since,
            verdict=Verdict.APPLIED.value,
            actor_kind__in=("identity", "command"),
        )
        .exclude(reason__in=_NO_INTERVENTION)
        # What a remedy changed has a record of its own.
        .exclude(reason=Reason.FINDING_CLOSED, intent="remedy")
        .order_by()
        # However often somebody takes back items of one run, it is that run which they mend.
        .annotate(run=Case(When(reason=Act.RUN_UNDO_ORDERED, then="object_id")))
        .values_list("reason", "run")
        .annotate(number=Count("id"))
    )
    parts: Counter[str] = Counter()
    for reason, run, number in acts.order_by("reason"):
        parts[reason] += number if run is None else 1
    # The primary key tells the time too, and an index has it; who joins a tenant all at once is not counted to the end.
    joined = Identity.objects.filter(
        tenant_id=tenant_id,
        pk__gte=first_id(since),
        created_at__gte=since,
        local=False,
        kind=Identity.Kind.PERSON,
    )
    joiners = joined.order_by().values("pk")[:JOINERS_AT_MOST].count()
    return Figure(number=parts.total(), of=joiners, parts=parts)


def owners(tenant_id: UUID, at: datetime) -> Figure:
    enabled = Identity.objects.with_state().filter(
        tenant=OuterRef("tenant"), pk=OuterRef("owner"), enabled=True
    )
    # What a client obtained is the client's.
    issued = live(at).filter(tenant_id=tenant_id, client__isnull=True)
    clients = ScimClient.objects.filter(tenant_id=tenant_id, revoked_at__isnull=True)
    parts = {
        "tokens": issued.exclude(Exists(enabled)).count(),
        "clients": clients.exclude(Exists(enabled)).count(),
    }
    return Figure(number=sum(parts.values()), of=issued.count() + clients.count(), parts=parts)


def tokens(tenant_id: UUID, at: datetime) -> Figure:
    rows = live(at).filter(tenant_id=tenant_id, client__isnull=True)
    successors = live(at).filter(
        tenant=OuterRef("tenant"), replaces=OuterRef("pk"), last_used_at__isnull=False
    )
    ending = rows.filter(~Exists(successors), expires_at__lte=at + judge.ENDS_SOON)
    return Figure(number=ending.count(), of=rows.filter(expires_at__isnull=False).count())


def certificates(tenant_id: UUID, at: datetime) -> Figure:
    rows = list(_in_use(tenant_id).exclude(idp_metadata="").order_by("name", "id")[:CONNECTIONS_AT_MOST])
    ending = [row for row in rows if _ends_by(row, at, at + judge.ENDS_SOON)]
    return Figure(
        number=len(ending),
        of=len(rows),
        cases=[Named(kind="connection", id=row.pk, name=row.name) for row in ending[:NAMED_AT_MOST]],
    )


def _ends_by(connection: Connection, at: datetime, soon: datetime) -> bool:
    try:
        idp = describe(connection.idp_metadata)
    except Unusable:
        return True
    # Metadata that is read from its address by schedule is renewed long before its end.
    document = connection.metadata_valid_until if not connection.metadata_url else None
    certificate = max((one.ends for one in idp.certificates), default=at)
    return certificate <= soon or (document is not None and document <= soon)


def revocation(tenant_id: UUID, at: datetime) -> Figure:
    """The last people whom a source, or an administrator, switched off, and what they have left."""
    found = _switched_off(tenant_id, at)
    ids = list(found)
    open_sessions = set(
        Session.objects.filter(tenant_id=tenant_id, identity__in=ids, expire_date__gt=at).values_list(
            "identity_id", flat=True
        )
    )
    purged = _purged(tenant_id, found)
    credentials = _credentials(tenant_id, found, at)
    holders, let_go = _holders(tenant_id, ids), _let_go(tenant_id, found)
    revocations = []
    for identity_id, since in found.items():
        is_live, ended_at = credentials.get(identity_id, (False, None))
        revocations.append(
            Revocation(
                identity_id=identity_id,
                at=since,
                sessions=Check(proven=False)
                if identity_id in open_sessions
                else Check(proven=True, seconds=purged.get(identity_id)),
                credentials=Check(proven=False)
                if is_live
                else Check(
                    proven=True,
                    seconds=max((ended_at - since).total_seconds(), 0.0) if ended_at else 0.0,
                ),
                # The hold shuts the hub's own doors. Who is still listed as a member (SCIM, the person's page) is for
                # everybody who reads that a holder, and is one again as soon as the hold is lifted.
                entitlements=Check(proven=False)
                if identity_id in holders
                else Check(proven=True, seconds=let_go.get(identity_id, 0.0)),
            )
        )
    return Figure(
        number=sum(not one.proven for one in revocations), of=len(revocations), revocations=revocations
    )


def _switched_off(tenant_id: UUID, at: datetime) -> dict[UUID, datetime]:
    """Identity -> since when it has had no access, the newest deactivation first; nobody who has been let back in."""
    records = AuditRecord.objects.filter(
        tenant_id=tenant_id,
        verdict=Verdict.APPLIED.value,
        identity_id__isnull=False,
        at__gte=at - judge.LOOK_BACK,
    ).order_by("-at")
    # Two lists, each by an index of its own.
    by_source = records.filter(reason__in=[reason.value for reason in DEACTIVATIONS])
    by_hand = records.filter(channel=Channel.ADMIN.value, reason=Reason.IDENTITY_HELD.value)
    last = [
        row
        for rows in (by_source, by_hand)
        for row in rows.values_list("identity_id", "at")[: 4 * judge.DEACTIVATIONS_LOOKED_AT]
    ]
    newest: dict[UUID, datetime] = {}
    for identity_id, when in sorted(last, key=lambda row: row[1], reverse=True):
        newest.setdefault(identity_id, when)
    back = set(
        Identity.objects.with_state()
        .filter(tenant_id=tenant_id, pk__in=newest, enabled=True)
        .values_list("pk", flat=True)
    )
    kept = [identity_id for identity_id in newest if identity_id not in back][: judge.DEACTIVATIONS_LOOKED_AT]
    # Who is switched off once more (disabled, then deleted) had lost the access before.
    since = _held_since(tenant_id, kept)
    return {identity_id: since.get(identity_id, newest[identity_id]) for identity_id in kept}


# The newest of each by an index; those that changed no hold are told without a line.
_HOLDS_TOLD = """
SELECT p.id, r.at, r.lines::text FROM unnest(%(people)s::uuid[]) AS p (id)
 CROSS JOIN LATERAL (
    SELECT id, at, verdict, jsonb_path_query_array(
               changes, '$[*] ? (@.change == "PlaceHold" || @.change == "LiftHold")') AS lines
      FROM provisioning_auditrecord WHERE identity_id = p.id AND tenant_id = %(tenant)s
     ORDER BY id DESC LIMIT %(most)s
 ) r WHERE r.verdict = 'applied' ORDER BY r.id DESC
"""


def _held_since(tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """Identity -> since when it has been held without a gap; nobody who is not held."""
    holds: dict[UUID, dict[judge.HeldBy, datetime]] = {}
    for identity_id, kind, source, placed_at in Hold.objects.filter(
        tenant_id=tenant_id, identity__in=ids
    ).values_list("identity_id", "kind", "source_account_id", "placed_at"):
        holds.setdefault(identity_id, {})[kind, str(source) if source else None] = placed_at
    told: dict[UUID, list[judge.HoldsChanged]] = {identity_id: [] for identity_id in holds}
    asked = {"people": sql.ids(holds), "tenant": tenant_id, "most": RECORDS_AT_MOST}
    for identity_id, when, lines in sql.rows(_HOLDS_TOLD, asked) if holds else ():
        changed: dict[str, set[judge.HeldBy]] = {"PlaceHold": set(), "LiftHold": set()}
        for one in orjson.loads(lines):
            if one["identity_id"] == str(identity_id):
                changed[one["change"]].add((one["kind"], one["source_account_id"]))
        told[identity_id].append(
            judge.HoldsChanged(at=when, placed=changed["PlaceHold"], lifted=changed["LiftHold"])
        )
    return {
        # Where the records do not reach back so far, the oldest hold that is in force says it.
        identity_id: judge.held_since(mine, told[identity_id]) or min(mine.values())
        for identity_id, mine in holds.items()
    }


def _purged(tenant_id: UUID, found: dict[UUID, datetime]) -> dict[UUID, float]:
    """Identity -> seconds from its deactivation until its session rows were gone, while the outbox remembers it."""
    if not found:
        return {}
    rows = (
        OutboxMessage.objects.filter(
            tenant_id=tenant_id,
            topic="sessions.purge",
            done_at__isnull=False,
            created_at__gte=min(found.values()),
            payload__identity__in=[str(identity_id) for identity_id in found],
        )
        .order_by()
        .values_list("payload__identity", "created_at", "done_at")
    )
    took: dict[UUID, float] = {}
    for key, ordered_at, done_at in rows:
        identity_id = UUID(key)
        # One that was ordered later proves nothing about the first, which the outbox may have forgotten.
        if found[identity_id] <= ordered_at <= found[identity_id] + judge.ORDERED_WITHIN:
            seconds = (done_at - found[identity_id]).total_seconds()
            took[identity_id] = min(took.get(identity_id, seconds), seconds)
    return took


def _holders(tenant_id: UUID, ids: Sequence[UUID]) -> set[UUID]:
    """Who of them is still in a group, by a live and active account or by a login, that gives an entitlement."""
    by_directory = EntitlementMapping.objects.filter(
        tenant_id=tenant_id,
        group__memberships__account__identity=OuterRef("pk"),
        group__memberships__account__deleted_at__isnull=True,
        group__memberships__account__active=True,
    )
    by_login = AssertedGroup.objects.in_force(OuterRef("pk"), tenant_id)
    people = Identity.objects.filter(Exists(by_directory) | Exists(by_login), tenant_id=tenant_id, pk__in=ids)
    return set(people.values_list("pk", flat=True))


# One account after the other: of all of them in one condition the database expects so many that it reads every group's.
_GROUPS_TOLD = """
SELECT a.id, r.object_id, r.at FROM unnest(%(accounts)s::uuid[]) AS a (id)
 CROSS JOIN LATERAL (
    SELECT object_id, at FROM provisioning_auditrecord
     WHERE tenant_id = %(tenant)s AND reason LIKE 'group:%%' AND verdict = 'applied' AND at >= %(since)s
       AND changes @> jsonb_build_array(jsonb_build_object('members', jsonb_build_array(a.id)))
    OFFSET 0
 ) r
 WHERE r.object_id = ANY(%(unmapped)s::uuid[])
    OR r.object_id IN (SELECT group_id FROM provisioning_entitlementmapping WHERE tenant_id = %(tenant)s)
"""


def _let_go(tenant_id: UUID, found: dict[UUID, datetime]) -> dict[UUID, float]:
    """Identity -> seconds from its deactivation until the last group gave it an entitlement no longer.

    A group last changed about it, the account that was in the group was closed, or the group gives nobody anything any
    more. Nobody for whom none did: the deactivation itself took the entitlements.
    """
    owners, closed = _accounts(tenant_id, found)
    if not owners:
        return {}
    mapped = EntitlementMapping.objects.filter(tenant_id=tenant_id).values("group")
    unmapped = {
        UUID(line["group_id"]): when for _, when, line in _acts(tenant_id, found, Act.ENTITLEMENT_UNMAPPED)
    }
    for group in mapped.filter(group__in=list(unmapped)).values_list("group", flat=True):
        # It gives something else still.
        unmapped.pop(group, None)
    gone: list[tuple[UUID, datetime]] = []
    members = Membership.objects.filter(
        Q(group__in=mapped) | Q(group__in=list(unmapped)), tenant_id=tenant_id, account__in=list(owners)
    )
    for account, group, joined in members.values_list("account_id", "group_id", "since"):
        ends = [when for when in (closed.get(account), unmapped.get(group)) if when is not None]
        if ends and joined <= min(ends):
            gone.append((owners[account], min(ends)))
    asked = {
        "accounts": sql.ids(owners),
        "tenant": tenant_id,
        "unmapped": sql.ids(unmapped),
        "since": min(found.values()),
    }
    for account, group, when in sql.rows(_GROUPS_TOLD, asked, prepared=False):
        gone.append((owners[account], min(when, closed.get(account, when), unmapped.get(group, when))))
    took: dict[UUID, float] = {}
    for identity_id, when in gone:
        if when >= found[identity_id]:
            seconds = (when - found[identity_id]).total_seconds()
            took[identity_id] = max(took.get(identity_id, 0.0), seconds)
    return took


def _accounts(tenant_id: UUID, found: dict[UUID, datetime]) -> tuple[dict[UUID, UUID], dict[UUID, datetime]]:
    """(account -> identity, account -> when it was closed), of those that the deactivation left open."""
    owners: dict[UUID, UUID] = {}
    closed: dict[UUID, datetime] = {}
    shut: list[UUID] = []
    rows = Account.objects.filter(tenant_id=tenant_id, identity__in=list(found))
    for key, identity_id, active, deleted_at in rows.values_list("pk", "identity_id", "active", "deleted_at"):
        owners[key] = identity_id
        if deleted_at is not None:
            closed[key] = deleted_at
        if not active:
            shut.append(key)
    disabled: dict[UUID, datetime] = {}
    if shut:
        records = AuditRecord.objects.filter(
            tenant_id=tenant_id,
            account_id__in=shut,
            reason=Reason.ACCOUNT_DISABLED.value,
            verdict=Verdict.APPLIED.value,
            at__gte=min(found.values()),
        )
        disabled = dict(records.order_by().values_list("account_id").annotate(last=Max("at")))
    for key in shut:
        ends = [when for when in (disabled.get(key), closed.get(key)) if when is not None]
        if not ends or min(ends) <= found[owners[key]]:
            # Closed before, or by the deactivation itself.
            del owners[key]
        else:
            closed[key] = min(ends)
    return owners, closed


# Whichever comes first, revoked or at its date: LEAST leaves out what is null. A client has no date.
_ENDED = {ScimToken: Least("revoked_at", "expires_at"), ScimClient: F("revoked_at")}


def _credentials(
    tenant_id: UUID, found: dict[UUID, datetime], at: datetime
) -> dict[UUID, tuple[bool, datetime | None]]:
    """Owner -> whether a SCIM token or client of theirs lives; where none does, when the last one ended.

    What went to another owner ended for this one then.
    """
    unrevoked = Q(revoked_at__isnull=True)
    unended = Q(expires_at__isnull=True) | Q(expires_at__gt=at)
    told: dict[UUID, tuple[bool, datetime | None]] = {}
    for model, is_live in ((ScimToken, unrevoked & unended), (ScimClient, unrevoked)):
        rows = (
            model.objects.filter(tenant_id=tenant_id, owner__in=list(found)).order_by().values_list("owner")
        )
        for owner, number, last in rows.annotate(alive=Count("pk", filter=is_live), last=Max(_ENDED[model])):
            was_live, was_last = told.get(owner, (False, None))
            moments = [moment for moment in (was_last, last) if moment is not None]
            told[owner] = (was_live or bool(number), max(moments, default=None))
    for owner, when in _handed_over(tenant_id, found):
        is_live, last = told.get(owner, (False, None))
        told[owner] = (is_live, max(last or when, when))
    return told


def _handed_over(tenant_id: UUID, found: dict[UUID, datetime]) -> Iterator[tuple[UUID, datetime]]:
    """(former owner, when) of each token and client of theirs that went to somebody else, or had ended before that."""
    acts = [
        (credential, when, owner)
        for credential, when, line in _acts(tenant_id, found, Act.OWNER_CHANGED)
        if (owner := as_uuid(line["former_identity_id"] or "")) in found
    ]
    ends: dict[UUID, datetime | None] = {}
    for model, ended in _ENDED.items() if acts else ():
        rows = model.objects.filter(tenant_id=tenant_id, pk__in=[credential for credential, _, _ in acts])
        ends |= dict(rows.values_list("pk", ended))
    for credential, when, owner in acts:
        # Of a non-human somebody answers too, and signs in by nothing of it.
        if credential in ends and owner is not None:
            yield owner, min(when, ends[credential] or when)


def _acts(
    tenant_id: UUID, found: dict[UUID, datetime], reason: Act
) -> Iterator[tuple[UUID, datetime, dict[str, Any]]]:
    """(object, when, line of what changed) of each such act since the first of them was switched off."""
    if not found:
        return
    acts = AuditRecord.objects.filter(
        tenant_id=tenant_id,
        channel=Channel.ADMIN.value,
        reason=reason,
        object_id__isnull=False,
        at__gte=min(found.values()),
    )
    for key, when, changes in acts.order_by("at").values_list("object_id", "at", "changes"):
        yield from ((key, when, line) for line in changes)


MEASURES: Sequence[Measure] = (
    Measure(
        name="jit-lifecycle",
        title="A path for leavers wherever logins make accounts",
        question="Does something say who has left, on each connection whose logins make accounts?",
        ask=jit_lifecycle,
        judge=judge.jit_lifecycle,
        remedy="Let the identity provider push by SCIM, or upload a complete roster every month: a login never says "
        "that somebody left.",
        page="connections",
    ),
    Measure(
        name="rosters",
        title="A complete listing of each connection",
        question="Has each connection given a complete roster within 35 days?",
        ask=rosters,
        judge=judge.rosters,
        remedy="Upload a roster, or fetch one from the identity provider: pushes get lost, a listing shows who is "
        "missing.",
        page="connections",
    ),
    Measure(
        name="stale",
        title="Pushes that still come",
        question="Has each connection that pushes pushed within its own limit?",
        ask=stale,
        judge=judge.stale,
        remedy="Look at the provisioning log and at the identity provider: its job may be in quarantine there.",
        page="connections",
    ),
    Measure(
        name="unmanaged",
        title="Somebody vouches for everybody",
        question="Does SCIM or a roster vouch for everybody who may sign in?",
        ask=unmanaged,
        judge=judge.unmanaged,
        remedy="Have the directory deliver them, or hold them. An administrator with a password of the hub's own is "
        "one of them, unless it is a break-glass identity.",
        page="unconfirmed",
    ),
    Measure(
        name="unconfirmed",
        title="Unconfirmed accounts within their grace",
        question="Is every account that a login made confirmed within its grace, or held?",
        ask=unconfirmed,
        judge=judge.unconfirmed,
        remedy="Execute a run of the connection: it holds them. Whoever should stay, the directory has to deliver.",
        page="unconfirmed",
    ),
    Measure(
        name="revocation",
        title="Time from deactivation to proven revocation",
        question="Have the last 50 people who were switched off no session, credential or entitlement left, and how "
        "soon?",
        ask=revocation,
        judge=judge.revocation,
        remedy="Open the person's page and end what is left. A worker that is down leaves sessions; who is still in a "
        "group that gives an entitlement is taken out of it by the directory that lists them.",
        page="sessions",
    ),
    Measure(
        name="review",
        title="Findings within their time",
        question="Is no open finding overdue?",
        ask=review,
        judge=judge.review,
        remedy="Decide the oldest first, or give them to somebody who does.",
        page="overdue",
    ),
    Measure(
        name="interventions",
        title="Acts by hand per 100 joiners",
        question="How often did somebody have to step in within 30 days, for 100 people who joined?",
        ask=interventions,
        judge=judge.interventions,
        remedy="Look in the audit for what comes back most: a trusted key or a cleaner userName often ends it.",
        page="audit-by-hand",
    ),
    Measure(
        name="runs",
        title="A run every night",
        question="Was a run finished on each active connection within two days?",
        ask=runs,
        judge=judge.runs,
        remedy="See whether worker and beat are up, and whether a run waits in quarantine.",
        page="runs",
    ),
    Measure(
        name="quarantine",
        title="No run in quarantine",
        question="Does no run wait for a person?",
        ask=quarantine,
        judge=judge.quarantine,
        remedy="Look at its plan, then release or reject it: until then nothing is reconciled there.",
        page="quarantine",
    ),
    Measure(
        name="switches",
        title="No kill switch in force",
        question="Is nothing switched off by hand?",
        ask=switches,
        judge=judge.switches,
        remedy="Lift it on the connection's page as soon as its reason is gone.",
        page="connections",
    ),
    Measure(
        name="owners",
        title="Credentials with an owner",
        question="Does somebody who may sign in answer for each SCIM token and client?",
        ask=owners,
        judge=judge.owners,
        remedy="Rotate the token on its connection's page: whoever does answers for it. Revoke what nobody needs.",
        page="connections",
    ),
    Measure(
        name="tokens",
        title="SCIM tokens that last",
        question="Does no SCIM token end within 30 days without a successor in use?",
        ask=tokens,
        judge=judge.tokens,
        remedy="Rotate it on its connection's page and enter the new one at the identity provider.",
        page="connections",
    ),
    Measure(
        name="certificates",
        title="Certificates that last",
        question="Does no last certificate or metadata of an identity provider end within 30 days?",
        ask=certificates,
        judge=judge.certificates,
        remedy="Import newer metadata, or name the address where the identity provider publishes it.",
        page="connections",
    ),
)
