"""A roster's life: begun, received page by page, judged, kept while runs compare with it, trimmed.

Knows no kind of source: files and remote listings are `provisioning.roster.Source`s. Nothing is concluded from a roster
here; runs do that, and only from complete ones.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from identity_hub.core.clock import now
from identity_hub.core.request_id import current_request_id
from provisioning import audit
from provisioning.decision.reasons import Act, Flaw, RowFault
from provisioning.decision.types import Actor, Channel
from provisioning.models import Connection, ReconciliationRun, Roster, RosterPart, RosterRow
from provisioning.roster import Page, Source, Unreadable, staging
from provisioning.roster.mapping import ColumnMap
from provisioning.roster.proof import Last, Read, Refusal, judge
from provisioning.selectors.rosters import needed, newest_complete

from .alone import alone as alone_at
from .invalid import Invalid, needed_reason
from .runs import end_overtaken

FAULTS_KEPT = 100
ACCEPTABLE_FOR = timedelta(days=7)
"""How long a shrunk roster keeps its rows, so that somebody can accept it."""
SPEAKS_FOR = timedelta(days=180)
"""How long people's data in a roster is kept where no newer ones come."""
PATIENCE = timedelta(days=1)
"""How long an upload, or a loading that stopped, waits to be gone on with."""
DELETED_AT_ONCE = 20_000
MANY = 1000
CLOCKS_DIFFER_BY = timedelta(minutes=5)

Status = Roster.Status
_Run = ReconciliationRun.Status
RUNS_WITH_ROWS = (_Run.SIMULATING, _Run.QUARANTINED, _Run.EXECUTING)
UNDER_WAY = (Status.DRAFT, Status.LOADING)
Progress = Callable[[int], None]
"""Told the number of rows after each page."""


class Elsewhere(RuntimeError):
    """Another worker loads the roster, or has ended it."""


def begin(
    *,
    connection: Connection,
    kind: str,
    fields: Sequence[str],
    actor: Actor,
    reason: str | None,
    as_of: datetime | None = None,
    mapping: ColumnMap | None = None,
    layout: Mapping[str, Any] | None = None,
    expected: int | None = None,
    shrinking_accepted: str = "",
    name: str = "",
    digest: str = "",
) -> Roster:
    """A roster without rows, to be received. Raises Invalid.

    `reason` is None where it is time for one, or where whoever ordered it has said why.
    """
    if reason is not None:
        reason = needed_reason(reason)
    at = now()
    require_moment(as_of, at)
    with transaction.atomic():
        roster = Roster.objects.create(
            tenant_id=connection.tenant_id,
            connection=connection,
            source=kind,
            # A clock that is ahead of the hub's: what is pushed from now on is newer than the listing.
            as_of=min(as_of or at, at),
            started_at=at,
            expected=expected,
            fields=list(fields),
            mapping=dict(mapping.columns) if mapping else {},
            layout=dict(layout or {}),
            shrinking_accepted=shrinking_accepted[:500],
            name=name[:200],
            digest=digest,
            requested_by=actor.signature,
        )
        record_act(roster, actor, Act.ROSTER_BEGUN, why=reason)
    return roster


def unfinished(connection: Connection, *, digest: str, mapping: ColumnMap) -> Roster | None:
    """The loading of this very file that stopped, if there is one."""
    rows = Roster.objects.filter(
        tenant_id=connection.tenant_id, connection=connection, status=Status.LOADING, digest=digest
    )
    return next((one for one in rows if one.mapping == dict(mapping.columns)), None)


def take_up(
    *,
    roster: Roster,
    actor: Actor,
    reason: str,
    as_of: datetime | None = None,
    expected: int | None = None,
    shrinking_accepted: str = "",
) -> None:
    """What is said of a file that is given again, before it is received further; what is not said stays.

    Of two moments the earlier counts: it is the same file, and what was pushed between them is newer. Raises Invalid,
    and Elsewhere where another worker has the roster in hand.
    """
    require_moment(as_of, now())
    record_act(roster, actor, Act.ROSTER_GIVEN_AGAIN, why=needed_reason(reason))
    with alone(roster) as mine, transaction.atomic():
        if not mine:
            raise Elsewhere
        _lock(roster)
        if roster.status == Status.LOADING:
            roster.as_of = min(as_of or roster.as_of, roster.as_of)
            roster.expected = expected or roster.expected
            roster.shrinking_accepted = shrinking_accepted[:500] or roster.shrinking_accepted
            roster.save(update_fields=["as_of", "expected", "shrinking_accepted"])


def receive(*, roster: Roster, source: Source, progress: Progress | None = None) -> Roster:
    """Takes every page that is not there yet, then judges: the roster is complete or refused afterwards.

    A page, its faults and where the next one begins are one transaction, so a worker may be killed at any time. Raises
    Elsewhere where another one has the roster in hand, and whatever the source raises but Unreadable.
    """
    with alone(roster) as mine:
        if not mine:
            raise Elsewhere
        roster.refresh_from_db()
        if roster.status != Status.LOADING:
            return roster
        try:
            for page in source.pages(roster.cursor):
                _keep(roster, page)
                if progress is not None:
                    progress(roster.row_count)
                if page.cursor is None:
                    _tell_the_planner(roster)
                    return roster
        except Unreadable as error:
            return refuse(roster, Refusal(flaw=error.flaw, sentence=error.sentence))
    raise ValueError("a source ended before its last page")


def refuse(roster: Roster, refusal: Refusal) -> Roster:
    """For what is no matter of its rows. One that has ended meanwhile stays as it is."""
    with transaction.atomic():
        _lock(roster)
        if roster.status in UNDER_WAY:
            _end(roster, refusal)
    return roster


def accept_shrinking(*, roster: Roster, reason: str, actor: Actor) -> Roster:
    """Makes a roster count that was refused for being much shorter than the last one. Raises Invalid."""
    reason = needed_reason(reason)
    with transaction.atomic():
        _lock(roster)
        if not acceptable(roster, now()):
            raise Invalid("", "Only a roster that was refused as shrunk can be accepted, and for a week.")
        roster.shrinking_accepted = reason[:500]
        roster.status = Status.LOADING
        record_act(roster, actor, Act.ROSTER_ACCEPTED, why=reason)
        _judge(roster)
    return roster


def acceptable(roster: Roster, at: datetime) -> bool:
    return (
        roster.status == Status.REFUSED
        and roster.code == Flaw.SHRUNK
        and roster.completed_at is not None
        and roster.completed_at > at - ACCEPTABLE_FOR
    )


def trim(*, at: datetime) -> int:
    """Removes rows that nobody needs any more, of every tenant; answers how many."""
    for roster in _old_ones(at):
        with transaction.atomic():
            rows = Roster.objects.filter(tenant_id=roster.tenant_id, pk=roster.pk, status=Status.COMPLETE)
            if rows.update(status=Status.SUPERSEDED):
                record(roster, Actor(kind="schedule"), Act.ROSTER_SUPERSEDED)
    waiting = Roster.objects.filter(status__in=UNDER_WAY, started_at__lt=at - PATIENCE)
    for roster in waiting.order_by("started_at"):
        with alone(roster) as mine:
            if mine:
                sentence = "Nobody went on with it within a day; please give the listing again."
                refuse(roster, Refusal(flaw=Flaw.ABANDONED, sentence=sentence))
    return sum(_delete_rows(roster) for roster in _spent(at))


def alone(roster: Roster) -> AbstractContextManager[bool]:
    """Whether nobody else works on the roster."""
    return alone_at(roster.tenant_id, "roster", str(roster.pk))


def record_act(roster: Roster, actor: Actor, act: Act, *, why: str | None, **told: Any) -> None:
    """What an administrator, or the schedule, did about a roster."""
    changes = [{"change": "roster", "source": roster.source, **told}]
    audit.record_act(
        act, roster, actor=actor, why=why, intent="load", channel=Channel.ROSTER, changes=changes
    )


def record(
    roster: Roster,
    actor: Actor,
    act: Act,
    *,
    why: str = "",
    told: Mapping[str, Any] | None = None,
) -> None:
    """How a roster ended."""
    audit.record(
        tenant_id=roster.tenant_id,
        at=now(),
        actor=actor,
        channel=Channel.ROSTER,
        intent="load",
        reason=act,
        verdict="refused" if act is Act.ROSTER_REFUSED else "applied",
        request_id=current_request_id(),
        connection_id=roster.connection_id,
        object_id=roster.pk,
        changes=[{"change": "roster", "source": roster.source, **(told or {})}],
        values={"reason": why} if why else None,
    )


def require_moment(as_of: datetime | None, at: datetime) -> None:
    if as_of is not None and as_of > at + CLOCKS_DIFFER_BY:
        raise Invalid("as_of", "A listing cannot speak of the future; please give the time of its export.")


def _lock(roster: Roster) -> None:
    Roster.objects.select_for_update().get(tenant_id=roster.tenant_id, pk=roster.pk)
    roster.refresh_from_db()


def _keep(roster: Roster, page: Page) -> None:
    with transaction.atomic():
        known = Roster.objects.select_for_update(no_key=True).get(tenant_id=roster.tenant_id, pk=roster.pk)
        if known.status != Status.LOADING or _place(known) != _place(roster):
            raise Elsewhere
        staging.copy(roster, page.rows)
        roster.row_count += len(page.rows)
        _add_faults(roster, [fault.told for fault in page.faults])
        roster.cursor = page.cursor
        if page.total is not None:
            roster.expected = max(page.total, roster.expected or 0)
        if page.cursor is None:
            _judge(roster)
        else:
            roster.save(update_fields=["row_count", "fault_count", "faults", "cursor", "expected"])


def _tell_the_planner(roster: Roster) -> None:
    """Of many rows at once: without their statistics it joins them with a connection's accounts one by one."""
    if roster.row_count > MANY:
        with database.cursor() as cursor:
            cursor.execute("ANALYZE provisioning_rosterrow")


def _place(roster: Roster) -> tuple[Any, ...]:
    return roster.row_count, roster.fault_count, roster.cursor


def _add_faults(roster: Roster, faults: list[dict[str, Any]], *, room: int = 0) -> None:
    """So many of the new ones, at most `room`, are kept before the last of the old ones."""
    roster.fault_count += len(faults)
    told = [*roster.faults, *faults]
    cut = [fault for fault in told if fault["code"] == RowFault.CUT]
    # What the end of a file looks like is always worth its place.
    kept = [*roster.faults[: FAULTS_KEPT - min(len(faults), room)], *faults][: FAULTS_KEPT - len(cut)]
    roster.faults = kept + [fault for fault in cut if fault not in kept]


def _judge(roster: Roster) -> None:
    """The verdict on a roster that was read to its end, inside the transaction of its last page."""
    names = ColumnMap(columns=roster.mapping).names
    unusable = roster.fault_count
    repeated = staging.duplicates(roster, names, FAULTS_KEPT)
    _add_faults(roster, [fault.told for fault in repeated], room=FAULTS_KEPT // 2)
    last = newest_complete(roster.tenant_id, roster.connection_id)
    refusal = judge(
        Read(
            as_of=roster.as_of,
            rows=roster.row_count,
            faults=unusable,
            cut=any(fault["code"] == RowFault.CUT for fault in roster.faults),
            ended=roster.layout.get("ended", True),
            duplicates=len(repeated),
            promised=() if roster.expected is None else (roster.expected,),
            shrinking_accepted=bool(roster.shrinking_accepted),
        ),
        Last(as_of=last.as_of, rows=last.row_count) if last else None,
    )
    _end(roster, refusal)


def _end(roster: Roster, refusal: Refusal | None) -> None:
    actor = Actor.who_signed(roster.requested_by)
    roster.status = Status.REFUSED if refusal else Status.COMPLETE
    roster.code = refusal.flaw if refusal else ""
    roster.note = refusal.sentence if refusal else ""
    roster.completed_at = now()
    roster.cursor = None
    roster.save()
    RosterPart.objects.filter(tenant_id=roster.tenant_id, roster=roster).delete()
    told: dict[str, Any] = {"rows": roster.row_count, "faults": roster.fault_count}
    if refusal:
        told["code"] = refusal.flaw
    why = roster.shrinking_accepted if refusal is None else ""
    record(roster, actor, Act.ROSTER_REFUSED if refusal else Act.ROSTER_COMPLETED, why=why, told=told)
    if refusal is None:
        end_overtaken(roster, actor)


def _old_ones(at: datetime) -> list[Roster]:
    """Complete rosters that no run will compare with, or that are too old to say anything of today's people."""
    rows = Roster.objects.filter(status=Status.COMPLETE).order_by("tenant", "connection", "-as_of")
    # Whoever decides about a run that waits shall find the rows that it speaks of.
    asked = set(
        ReconciliationRun.objects.filter(status__in=RUNS_WITH_ROWS).values_list("roster_id", flat=True)
    )
    old: list[Roster] = []
    for _, ones in groupby(rows, key=lambda one: (one.tenant_id, one.connection_id)):
        complete = list(ones)
        kept = [*needed(complete), *(one for one in complete if one.pk in asked)]
        old += [one for one in complete if one not in kept or one.as_of < at - SPEAKS_FOR]
    return old


def _spent(at: datetime) -> list[Roster]:
    """Rosters that have rows and no use for them."""
    kept = RosterRow.objects.filter(tenant_id=OuterRef("tenant_id"), roster_id=OuterRef("pk"))
    # A day longer than anybody may accept it: whoever does so in the last moment finds every row.
    waits = Q(
        status=Status.REFUSED, code=Flaw.SHRUNK, completed_at__gt=at - ACCEPTABLE_FOR - timedelta(days=1)
    )
    rows = Roster.objects.filter(status__in=[Status.REFUSED, Status.SUPERSEDED]).exclude(waits)
    return list(rows.filter(Exists(kept)))


def _delete_rows(roster: Roster) -> int:
    """In short transactions: a million at once would hold back whatever cleans tables."""
    rows = RosterRow.objects.filter(tenant_id=roster.tenant_id, roster_id=roster.pk)
    deleted = 0
    while number := rows.filter(pk__in=rows.order_by().values("pk")[:DELETED_AT_ONCE]).delete()[0]:
        deleted += number
    return deleted
