"""A run: simulate, guard, execute, resume. Knows the order of these steps; what follows from a hit is decided below.

While somebody works on a connection's run, a session-level advisory lock says so: it ends with the worker, however
that ends. A run that reads `simulating` or `executing` without the lock was left behind.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from time import monotonic, sleep
from typing import Any, TypeVar
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db import connection as database

from identity_hub.core.clock import now
from provisioning import outbox, services
from provisioning.decision.reasons import Act, Reason
from provisioning.decision.types import Actor, GroupObservation, Observation, Outcome, Verdict
from provisioning.digests import lock_number
from provisioning.models import AuditRecord, Connection, ReconciliationItem, ReconciliationRun
from provisioning.selectors import connections as policies
from provisioning.selectors import reconciliation as stored
from provisioning.services.groups import submit_group
from provisioning.services.submission import retrying

from . import brakes, plan
from .checks import CHECKS, Check, Hit, Scope
from .journal import move, record

BATCH = 200
REPORTS_KEPT = 1000
"""Reports stored of one check; all of them are counted."""
PATIENCE = 5.0
"""Seconds that a request waits for a run that is just beginning or just ending."""

T = TypeVar("T")
Status = ReconciliationRun.Status
ItemStatus = ReconciliationItem.Status
Progress = Callable[[int, int], None]
"""Told (items done, items in all) after each batch."""

_STATUS_OF_VERDICT = {
    Verdict.APPLIED: ItemStatus.APPLIED,
    Verdict.UNCHANGED: ItemStatus.UNCHANGED,
    Verdict.STALE: ItemStatus.UNCHANGED,
    Verdict.PENDING: ItemStatus.APPLIED,
    Verdict.REFUSED: ItemStatus.REFUSED,
}


class Busy(RuntimeError):
    """Another worker holds the connection and has no run to show yet."""


def simulate(connection: Connection, requested_by: Actor) -> ReconciliationRun:
    """A new run with everything it would do, judged by the guard: SIMULATED, or QUARANTINED.

    Writes nothing but the run and its items. Where a run occupies the connection (at work, or in quarantine),
    that one is the answer.
    """
    deadline = monotonic() + PATIENCE
    while True:
        with _alone(connection) as mine:
            if mine:
                _bury_abandoned(connection)
                return stored.running(connection) or _simulate(connection, requested_by)
        if occupying := stored.running(connection):
            return occupying
        if monotonic() > deadline:
            raise Busy
        sleep(0.05)


def execute(run: ReconciliationRun, on_progress: Progress | None = None) -> ReconciliationRun:
    """Carries out what is planned, in batches, each decided again under its locks; continues where one stopped.

    A run that is in quarantine, finished, rejected or in another worker's hands is answered as it is; so is
    every run of a connection while another one is in quarantine, or while an administrator has stopped its runs. One
    that is stopped in the middle goes on when it may.
    """
    connection = run.connection
    with _alone(connection) as mine:
        occupying = stored.running(connection) if mine else None
        blocked = occupying is not None and occupying.pk != run.pk and occupying.status == Status.QUARANTINED
        if mine and not blocked and not stored.runs_stopped(connection) and _begin(run):
            _execute(run, connection, on_progress)
    run.refresh_from_db()
    return run


def order(run: ReconciliationRun, actor: Actor) -> None:
    """Has a worker execute a simulated run, or continue one that was left behind; a request should not wait for it."""
    with transaction.atomic():
        record(run, actor, "execute", Act.RUN_ORDERED)
        outbox.enqueue([("run.execute", {"run": str(run.pk)}, run.tenant_id)])


@contextmanager
def _alone(connection: Connection) -> Iterator[bool]:
    number = lock_number(connection.tenant_id, ("run", str(connection.pk)))
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine:
            # A connection that broke took the lock with it.
            with suppress(DatabaseError), database.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [number])


def _bury_abandoned(connection: Connection) -> None:
    """A half-made plan is worth nothing; a half-executed run goes on where it stopped."""
    for run in ReconciliationRun.objects.filter(
        tenant_id=connection.tenant_id, connection=connection, status=Status.SIMULATING
    ):
        with transaction.atomic():
            if move(run, [Status.SIMULATING], Status.FAILED, finished_at=now(), note="Its worker went away."):
                record(run, Actor(kind="schedule"), "simulate", Act.RUN_FAILED)


def _simulate(connection: Connection, requested_by: Actor) -> ReconciliationRun:
    with transaction.atomic():
        run = ReconciliationRun.objects.create(
            tenant_id=connection.tenant_id,
            connection=connection,
            requested_by=requested_by.signature,
            population=stored.population(connection),
        )
        record(run, requested_by, "simulate", Act.RUN_STARTED)
    scope = _scope(run, connection)
    counts: Counter[str] = Counter()
    destructive = 0
    for check in CHECKS.values():
        reports = 0
        for hits in _batches(check.look(scope, None), BATCH):
            items = [item for item in _foresee(run, check, hits) if item is not None]
            counts.update(item.reason for item in items)
            destructive += sum(item.destructive for item in items)
            kept = []
            for item in items:
                reports += item.status == ItemStatus.REPORTED
                if item.status == ItemStatus.PLANNED or reports <= REPORTS_KEPT:
                    kept.append(item)
            ReconciliationItem.objects.bulk_create(kept)
    doubt = brakes.doubt(run, connection, destructive)
    with transaction.atomic():
        move(
            run,
            [Status.SIMULATING],
            Status.QUARANTINED if doubt else Status.SIMULATED,
            simulated_at=now(),
            counts=dict(counts),
            destructive=destructive,
            note=doubt or "",
        )
        record(
            run, requested_by, "simulate", Act.RUN_QUARANTINED if doubt else Act.RUN_SIMULATED, counts=counts
        )
    run.refresh_from_db()
    return run


def _foresee(
    run: ReconciliationRun, check: Check, hits: Sequence[Hit]
) -> Iterable[ReconciliationItem | None]:
    """The item of each hit; None where nothing follows and nothing is to be said."""
    decided = iter(
        services.simulate_many([h.observation for h in hits if isinstance(h.observation, Observation)])
    )
    for hit in hits:
        item = ReconciliationItem(
            tenant_id=run.tenant_id,
            run=run,
            check_name=check.name,
            account_id=hit.account_id,
            identity_id=hit.identity_id,
            evidence=dict(hit.evidence),
        )
        if isinstance(hit.observation, GroupObservation):
            item.plan = plan.foreseen_of_group(hit.observation)
            item.reason = Reason.GROUP_UPDATED
        elif hit.observation is not None:
            decision, loaded = next(decided)
            item.plan = plan.foreseen(decision, loaded)
            item.situation = decision.situation
            item.reason = decision.reason
            item.identity_id = hit.identity_id or decision.identity_id
        if item.plan:
            item.status = ItemStatus.PLANNED
            item.destructive = plan.is_destructive(item.plan)
            yield item
        elif item.reason == Reason.IDENTITY_SPARED:
            item.status = ItemStatus.REPORTED
            yield item
        elif hit.report is not None:
            item.status = ItemStatus.REPORTED
            item.reason = hit.report
            yield item
        else:
            yield None


def _begin(run: ReconciliationRun) -> bool:
    """Takes the run up, for the first time or again; called under the connection's lock."""
    others = ReconciliationRun.objects.filter(
        tenant_id=run.tenant_id,
        connection_id=run.connection_id,
        status__in=(Status.SIMULATING, Status.EXECUTING),
    ).exclude(pk=run.pk)
    with transaction.atomic():
        for other in others:
            move(other, [other.status], Status.FAILED, finished_at=now(), note="Its worker went away.")
            record(other, Actor.who_signed(other.requested_by), "execute", Act.RUN_FAILED)
        if doubt := brakes.doubt_at_start(run):
            if move(run, [Status.SIMULATED], Status.QUARANTINED, note=doubt):
                record(run, Actor.who_signed(run.requested_by), "execute", Act.RUN_QUARANTINED)
            return move(run, [Status.EXECUTING], Status.EXECUTING)
        return move(run, [Status.SIMULATED, Status.EXECUTING], Status.EXECUTING)


def _execute(run: ReconciliationRun, connection: Connection, on_progress: Progress | None) -> None:
    items = ReconciliationItem.objects.filter(tenant_id=run.tenant_id, run=run)
    total = items.exclude(status__in=[ItemStatus.REPORTED, ItemStatus.LEFT_OUT]).count()
    planned = items.filter(status=ItemStatus.PLANNED).order_by("id")
    done = total - planned.count()
    while batch := list(planned[:BATCH]):
        if stored.runs_stopped(connection):
            return
        retrying(lambda: _carry_out(run, connection, batch))
        done += len(batch)
        if on_progress is not None:
            on_progress(done, total)
    outcome = Counter(items.values_list("status", flat=True))
    told = {
        str(status): outcome[status]
        for status in (ItemStatus.APPLIED, ItemStatus.UNCHANGED, ItemStatus.REFUSED)
    }
    with transaction.atomic():
        move(run, [Status.EXECUTING], Status.DONE, finished_at=now())
        record(run, Actor.who_signed(run.requested_by), "execute", Act.RUN_EXECUTED, counts=told)


def _carry_out(run: ReconciliationRun, connection: Connection, batch: Sequence[ReconciliationItem]) -> None:
    """One batch, its outcomes beside its effects in one transaction: a kill leaves both or neither."""
    scope = _scope(run, connection)
    hits = _still_there(scope, batch)
    people: list[tuple[ReconciliationItem, Observation]] = []
    for item in batch:
        item.decided_at = scope.at
        item.status = ItemStatus.UNCHANGED
        hit = hits.get((item.check_name, *_key(item)))
        if hit is None:
            continue
        if isinstance(hit.observation, GroupObservation):
            _settle(item, submit_group(hit.observation), plan.foreseen_of_group(hit.observation))
        elif hit.observation is not None:
            people.append((item, hit.observation))
    outcomes = services.submit_many([observation for _, observation in people])
    told = AuditRecord.objects.filter(tenant_id=run.tenant_id).in_bulk(
        [outcome.audit_id for outcome in outcomes if outcome.audit_id is not None]
    )
    for (item, _), outcome in zip(people, outcomes, strict=True):
        _settle(item, outcome, told[outcome.audit_id].changes if outcome.audit_id in told else [])
    ReconciliationItem.objects.filter(tenant_id=run.tenant_id).bulk_update(
        batch, ["status", "reason", "situation", "inverse", "decided_at", "audit_id"]
    )


def _settle(item: ReconciliationItem, outcome: Outcome, done: list[dict[str, Any]]) -> None:
    spared = outcome.reason == Reason.IDENTITY_SPARED
    item.status = ItemStatus.REPORTED if spared else _STATUS_OF_VERDICT[outcome.verdict]
    item.reason = outcome.reason
    item.situation = outcome.situation
    item.audit_id = outcome.audit_id
    if outcome.verdict is Verdict.APPLIED:
        item.inverse = plan.inverse(done, outcome.audit_id)


def _still_there(scope: Scope, batch: Sequence[ReconciliationItem]) -> dict[tuple[Any, ...], Hit]:
    """What the checks find now among the batch; what they do not find any more needs nothing."""
    found: dict[tuple[Any, ...], Hit] = {}
    for name in {item.check_name for item in batch} & CHECKS.keys():
        among = {item.account_id or item.identity_id for item in batch if item.check_name == name}
        for hit in CHECKS[name].look(scope, among):
            found[name, *hit.key] = hit
    return found


def _key(item: ReconciliationItem) -> tuple[UUID | None, str]:
    return item.account_id or item.identity_id, item.evidence.get("group", "")


def _scope(run: ReconciliationRun, connection: Connection) -> Scope:
    rules = policies.rules(connection.tenant_id, [connection.pk])
    return Scope(
        connection=connection,
        policy=rules.policies[connection.pk],
        at=now(),
        actor=Actor.who_signed(run.requested_by),
        request_id=str(run.pk),
    )


def _batches(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch
