"""A run: simulate, guard, execute, resume, cancel, verify. Knows the order; what follows from a hit is decided below.

While somebody works on a connection's run, a session-level advisory lock says so: it ends with the worker, however
that ends. A run that reads `simulating` or `executing` without the lock was left behind.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import groupby, islice
from operator import attrgetter
from time import monotonic, sleep
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from identity_hub.core.clock import now
from identity_hub.core.collector import uncollected
from provisioning import services
from provisioning.decision.brakes import takes_access
from provisioning.decision.reasons import Act, Reason
from provisioning.decision.types import Actor, Document, GroupObservation, Observation, Outcome, Verdict
from provisioning.models import Connection, ReconciliationItem, ReconciliationRun, Roster
from provisioning.selectors import connections as policies
from provisioning.selectors import reconciliation as stored
from provisioning.selectors import roster_differences
from provisioning.selectors.rosters import newest_complete
from provisioning.services import run_brakes as brakes
from provisioning.services.alone import alone
from provisioning.services.fingerprints import fill_fingerprints
from provisioning.services.groups import submit_group
from provisioning.services.invalid import Invalid, needed_reason
from provisioning.services.runs import (
    Item,
    begin,
    end_earlier,
    end_too_old,
    keep,
    move,
    one_at_a_time,
    record,
    settle,
    tally,
)
from provisioning.services.submission import retrying

from . import left_out, plan
from .checks import CHECKS, Check, Hit, Key, Scope

BATCH = 500
"""Items that are decided, applied and settled in one transaction."""
REPORTS_KEPT = 1000
"""Reports stored of one check; all of them are counted."""
LOOKS = 3
"""How often a run looks at everything again: what it did may have consequences, and those have hardly any."""
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
_STATUS_OF_REASON: dict[str, Any] = {
    Reason.IDENTITY_SPARED: ItemStatus.REPORTED,
    # Deleted between the look and the lock: there is nothing left to do about it.
    Reason.ACCOUNT_UNKNOWN: ItemStatus.UNCHANGED,
    Reason.GROUP_UNKNOWN: ItemStatus.UNCHANGED,
}


class Planned(NamedTuple):
    """What of an item says what to do about it."""

    id: int
    check_name: str
    account_id: UUID | None
    identity_id: UUID | None
    row_id: int | None
    evidence: Document
    destructive: bool


class Busy(RuntimeError):
    """Another worker holds the connection and has no run to show yet."""


def simulate(
    connection: Connection, requested_by: Actor, roster: Roster | None = None, reason: str = ""
) -> ReconciliationRun:
    """A new run with everything it would do, judged by the guard: SIMULATED, QUARANTINED, CANCELLED or OVERTAKEN.

    It compares with `roster`, else with the newest complete one that no executed run has used. Writes nothing but the
    run and its items. Where a run occupies the connection (at work, or in quarantine), that one is the answer, unless a
    newer roster has overtaken it: it ends. Raises Invalid for a roster that is not complete, or not the newest that is,
    and for a person without a reason.
    """
    if requested_by.is_person:
        reason = needed_reason(reason)
    if roster is not None:
        require_usable(connection, roster)
    deadline = monotonic() + PATIENCE
    while True:
        with _alone(connection) as mine:
            if mine:
                _bury_abandoned(connection)
                occupying = stored.running(connection)
                if occupying and not _ended(occupying, requested_by, "simulate"):
                    return _taken_up(occupying, requested_by, reason)
                return _simulate(
                    connection, requested_by, roster or roster_differences.roster_for(connection), reason
                )
        if occupying := stored.running(connection):
            return _taken_up(occupying, requested_by, reason)
        if monotonic() > deadline:
            raise Busy
        sleep(0.05)


def _taken_up(run: ReconciliationRun, requested_by: Actor, reason: str) -> ReconciliationRun:
    # What every night comes upon is no act of anybody.
    if requested_by.is_person:
        record(run, requested_by, "simulate", Act.RUN_TAKEN_UP, why=reason)
    return run


def execute(run: ReconciliationRun, on_progress: Progress | None = None) -> ReconciliationRun:
    """Carries out what is planned, in batches, each decided again under its locks; continues where one stopped.

    A run that is in quarantine, finished, rejected or in another worker's hands is answered as it is; so is
    every run of a connection while another one is in quarantine, released from there or half done, or while an
    administrator has stopped its runs. One that is stopped in the middle goes on when it may.
    """
    connection = run.connection
    with _alone(connection) as mine:
        occupying = stored.running(connection) if mine else None
        blocked = occupying is not None and occupying.pk != run.pk and occupying.status != Status.SIMULATING
        if mine and not blocked and not stored.runs_stopped(connection):
            _bury_abandoned(connection)
            if _begin(run):
                _execute(run, connection, on_progress)
    run.refresh_from_db()
    return run


def cancel(run: ReconciliationRun, actor: Actor, reason: str) -> ReconciliationRun:
    """Stops a run after the batch in hand; what is done stays done. One that nobody works on is cancelled at once.

    Raises Invalid without a reason.
    """
    reason = needed_reason(reason)
    with transaction.atomic():
        if move(run, _CANCELLABLE, F("status"), cancel_requested_at=now()):
            record(run, actor, "cancel", Act.RUN_CANCEL_ORDERED, why=reason)
    with _alone(run.connection) as mine:
        if mine:
            _stop(run)
    run.refresh_from_db()
    return run


def require_usable(connection: Connection, roster: Roster) -> None:
    """Raises Invalid."""
    if roster.connection_id != connection.pk or roster.status != Roster.Status.COMPLETE:
        raise Invalid("roster", "Only a complete roster of this connection can be compared with.")
    newest = newest_complete(connection.tenant_id, connection.pk)
    if newest is not None and roster.as_of < newest.as_of:
        raise Invalid("roster", "A newer roster is complete already; please take the newest one.")


def _ended(run: ReconciliationRun, actor: Actor, intent: str) -> bool:
    """Whether it speaks of too old a day; called under the connection's lock."""
    with transaction.atomic():
        return end_too_old(run, actor, intent)


def _alone(connection: Connection) -> AbstractContextManager[bool]:
    return alone(connection.tenant_id, "run", str(connection.pk))


def _bury_abandoned(connection: Connection) -> None:
    """A half-made plan is worth nothing; a half-executed run goes on where it stopped."""
    for run in ReconciliationRun.objects.filter(
        tenant_id=connection.tenant_id, connection=connection, status=Status.SIMULATING
    ):
        with transaction.atomic():
            if move(run, [Status.SIMULATING], Status.FAILED, finished_at=now(), note="Its worker went away."):
                record(run, Actor(kind="schedule"), "simulate", Act.RUN_FAILED)


def _simulate(
    connection: Connection, requested_by: Actor, roster: Roster | None, reason: str
) -> ReconciliationRun:
    population = stored.with_access(connection.tenant_id, connection)
    run = begin(connection, requested_by, roster, population, reason)
    counts: Counter[str] = Counter()
    let_go: set[services.Key] = set()
    planned = destructive = 0
    scope = _scope(run, connection)
    before = left_out.run_before(run)
    _find_differences(scope)
    for check in CHECKS.values():
        kept = 0
        known = left_out.remembered(before, check.name)
        for hits in _batches(check.look(scope, None), BATCH):
            rows = []
            for item in left_out.kept_out(_foreseen(run, check, hits, let_go), known):
                counts[item["reason"]] += 1
                if item["status"] == ItemStatus.PLANNED:
                    planned += 1
                    destructive += item["destructive"]
                elif item["status"] == ItemStatus.REPORTED and kept == REPORTS_KEPT:
                    continue
                elif item["status"] == ItemStatus.REPORTED:
                    kept += 1
                rows.append(item)
            keep(rows)
            if _is_cancelled(run):
                _stop(run, counts=dict(counts))
                run.refresh_from_db()
                return run
    for rows in _batches(left_out.carried(run, before), BATCH):
        counts.update(item["reason"] for item in rows)
        keep(rows)
    roster_differences.forget()
    doubt = brakes.doubt(run, connection, destructive)
    with transaction.atomic():
        one_at_a_time(run.tenant_id, run.connection_id)
        if _is_cancelled(run, lock=True):
            _stop(run, counts=dict(counts))
            run.refresh_from_db()
            return run
        move(
            run,
            [Status.SIMULATING],
            Status.QUARANTINED if doubt else Status.SIMULATED,
            simulated_at=now(),
            counts=dict(counts),
            destructive=destructive,
            items_total=planned,
            note=doubt or "",
        )
        record(
            run, requested_by, "simulate", Act.RUN_QUARANTINED if doubt else Act.RUN_SIMULATED, counts=counts
        )
        end_earlier(run, requested_by)
        # One that became complete while this was looking.
        end_too_old(run, requested_by, "simulate")
    run.refresh_from_db()
    return run


def _find_differences(scope: Scope) -> None:
    if scope.roster is None:
        return
    # An account without a fingerprint would have to be decided about to learn that it is the same.
    if roster_differences.find(scope.connection, scope.roster):
        fill_fingerprints(scope.connection)
        roster_differences.find(scope.connection, scope.roster)


def _foreseen(
    run: ReconciliationRun, check: Check, hits: Sequence[Hit], let_go: set[services.Key]
) -> list[Item]:
    with uncollected():
        return list(_foresee(run, check, hits, let_go))


def _foresee(
    run: ReconciliationRun, check: Check, hits: Sequence[Hit], let_go: set[services.Key]
) -> Iterator[Item]:
    """The item of each hit, by column; none where nothing follows and nothing is to be said.

    `let_go` are the names that hits before these let go of for others; those of these come into it.
    """
    observed = [h.observation for h in hits if isinstance(h.observation, Observation)]
    decided = iter(services.simulate_in_turn(observed, let_go))
    for hit in hits:
        item: dict[str, Any] = {
            "tenant_id": run.tenant_id,
            "run_id": run.pk,
            "check_name": check.name,
            "account_id": hit.account_id,
            "identity_id": hit.identity_id,
            "row_id": hit.row_id,
            "evidence": hit.evidence,
            "situation": "",
            "reason": "",
            "plan": [],
            "destructive": False,
            "inverse": [],
        }
        if isinstance(hit.observation, GroupObservation):
            item["plan"] = plan.foreseen_of_group(hit.observation)
            item["reason"] = Reason.GROUP_UPDATED
        elif hit.observation is not None:
            decision, loaded = next(decided)
            if hit.hands_on:
                let_go |= services.frees(decision, loaded)
            item["plan"] = plan.foreseen(decision, loaded)
            item["destructive"] = takes_access(decision, loaded.identities)
            item["situation"] = decision.situation
            item["reason"] = decision.reason
            if hit.identity_id is None and decision.identity_id in loaded.identities:
                item["identity_id"] = decision.identity_id
        if item["plan"]:
            yield item | {"status": ItemStatus.PLANNED}
        elif item["reason"] == Reason.IDENTITY_SPARED:
            yield item | {"status": ItemStatus.REPORTED}
        elif hit.report is not None:
            yield item | {"status": ItemStatus.REPORTED, "reason": hit.report}


def _begin(run: ReconciliationRun) -> bool:
    """Takes the run up, for the first time or again; called under the connection's lock."""
    with transaction.atomic():
        if _is_cancelled(run, lock=True):
            _stop(run)
            return False
        if end_too_old(run, Actor.who_signed(run.requested_by), "execute"):
            return False
        if doubt := brakes.doubt_at_start(run):
            if move(run, [Status.SIMULATED], Status.QUARANTINED, note=doubt, **_UNRELEASED):
                record(run, Actor.who_signed(run.requested_by), "execute", Act.RUN_QUARANTINED)
            return move(run, [Status.EXECUTING], Status.EXECUTING)
        return move(run, [Status.SIMULATED, Status.EXECUTING], Status.EXECUTING)


_UNRELEASED = {"released_by": "", "released_at": None, "second_released_by": "", "second_released_at": None}


def _execute(run: ReconciliationRun, connection: Connection, on_progress: Progress | None) -> None:
    scope = _scope(run, connection)
    for look in range(1, LOOKS + 1):
        if not _carry_out_planned(run, scope, on_progress):
            return
        remaining, following = _verify(run, scope, plans=look < LOOKS)
        if not following:
            break
    verdict = Act.RUN_VERIFIED if not remaining else Act.RUN_NOT_VERIFIED
    with transaction.atomic():
        at = now()
        move(
            run,
            [Status.EXECUTING],
            Status.DONE,
            finished_at=at,
            verified_at=at,
            remaining=remaining.total(),
        )
        actor = Actor.who_signed(run.requested_by)
        record(run, actor, "execute", Act.RUN_EXECUTED, counts=tally(run))
        record(run, actor, "verify", verdict, counts=remaining)


def _carry_out_planned(run: ReconciliationRun, scope: Scope, on_progress: Progress | None) -> bool:
    """False where somebody stopped it, the run or all runs of the connection, or a newer roster has overtaken it."""
    items = ReconciliationItem.objects.filter(tenant_id=run.tenant_id, run=run)
    planned = items.filter(status=ItemStatus.PLANNED).order_by("id").values_list(*Planned._fields)
    total = items.exclude(status__in=[ItemStatus.REPORTED, ItemStatus.LEFT_OUT]).count()
    done = total - planned.count()
    move(run, [Status.EXECUTING], Status.EXECUTING, items_total=total, items_done=done)
    last = 0
    while batch := [Planned._make(row) for row in planned.filter(pk__gt=last)[:BATCH]]:
        if _is_cancelled(run):
            _stop(run)
            return False
        if stored.runs_stopped(scope.connection):
            return False
        # Whoever became complete meanwhile may list whom the next batch would hold.
        if _ended(run, Actor.who_signed(run.requested_by), "execute"):
            return False
        # What the next check finds depends on what this one has changed: whose a waiting account is, on its e-mail.
        batch = list(next(groupby(batch, key=attrgetter("check_name")))[1])
        _carry_out(run, scope, batch)
        last = batch[-1].id
        done += len(batch)
        if on_progress is not None:
            on_progress(done, total)
    return True


def _carry_out(run: ReconciliationRun, scope: Scope, batch: Sequence[Planned]) -> None:
    """One batch, its outcomes beside its effects in one transaction: a kill leaves both or neither."""
    with uncollected():
        retrying(lambda: _carry_out_once(run, replace(scope, at=now()), batch))


def _carry_out_once(run: ReconciliationRun, scope: Scope, batch: Sequence[Planned]) -> None:
    hits = _still_there(scope, batch)
    settled: list[Item] = []
    people: list[tuple[Planned, Observation]] = []
    for item in batch:
        hit = hits.get((item.check_name, *_key(item)))
        if hit is None:
            settled.append(_unneeded(item, scope))
        elif isinstance(hit.observation, GroupObservation):
            outcome = submit_group(hit.observation)
            settled.append(_settle(item, scope, outcome, plan.foreseen_of_group(hit.observation)))
        elif hit.observation is not None:
            # The guard has counted whom the plan takes access from, and nobody else.
            people.append((item, replace(hit.observation, may_take_access=item.destructive)))
    outcomes = services.submit_many([observation for _, observation in people])
    for (item, _), outcome in zip(people, outcomes, strict=True):
        settled.append({**_settle(item, scope, outcome, outcome.told), **_whom(outcome)})
    settle(run, settled)


def _unneeded(item: Planned, scope: Scope) -> Item:
    return {"id": item.id, "status": ItemStatus.UNCHANGED, "decided_at": scope.at}


def _settle(item: Planned, scope: Scope, outcome: Outcome, done: Sequence[plan.Line]) -> Item:
    applied = outcome.verdict is Verdict.APPLIED
    return {
        "id": item.id,
        "status": _STATUS_OF_REASON.get(outcome.reason, _STATUS_OF_VERDICT[outcome.verdict]),
        "reason": outcome.reason,
        "situation": outcome.situation,
        "inverse": plan.inverse(done, outcome.audit_id) if applied else [],
        "decided_at": scope.at,
        "audit_id": outcome.audit_id,
    }


def _whom(outcome: Outcome) -> Item:
    """Whom a row of a roster means is known only now: when it was planned it may have been nobody, or somebody else."""
    if outcome.verdict is not Verdict.APPLIED:
        return {}
    return {"account_id": outcome.account_id, "identity_id": outcome.identity_id}


def _verify(run: ReconciliationRun, scope: Scope, *, plans: bool) -> tuple[Counter[str], int]:
    """What a second simulation would plan, by reason code: nothing, unless somebody else has been at work. And how much
    of it was made items of this run.

    With `plans` that becomes of what follows from the run's own work, or from somebody else's meanwhile, and takes
    nobody's access: the guard has not counted it. What a person left out of the run is no part of it.
    """
    remaining: Counter[str] = Counter()
    following = 0
    let_go: set[services.Key] = set()
    scope = replace(scope, at=now())
    _find_differences(scope)
    for check in CHECKS.values():
        if check.only_reports:
            continue
        for hits in _batches(check.look(scope, None), BATCH):
            left = [
                item for item in _foreseen(run, check, hits, let_go) if item["status"] == ItemStatus.PLANNED
            ]
            met = _met(run, check, left)
            left = [item for item in left if met.get(_key_of(item)) != ItemStatus.LEFT_OUT]
            new = [
                {**item, "evidence": {**item["evidence"], "found": "afterwards"}}
                for item in left
                if plans and not item["destructive"] and _key_of(item) not in met
            ]
            keep(new)
            following += len(new)
            planned = {_key_of(item) for item in new}
            remaining.update(item["reason"] for item in left if _key_of(item) not in planned)
    roster_differences.forget()
    return remaining, following


def _met(run: ReconciliationRun, check: Check, found: Sequence[Item]) -> dict[Key, str]:
    """What has become of these, of those that the run had to decide about."""
    if not found:
        return {}
    columns = ("row_id", "account_id", "identity_id")
    about = [Q(**{f"{column}__in": {item[column] for item in found} - {None}}) for column in columns]
    items = ReconciliationItem.objects.filter(
        about[0] | about[1] | about[2], tenant_id=run.tenant_id, run=run, check_name=check.name
    ).exclude(status=ItemStatus.REPORTED)
    return {_key(item): item.status for item in items.only(*Planned._fields, "status")}


def _is_cancelled(run: ReconciliationRun, *, lock: bool = False) -> bool:
    """With `lock` whoever cancels from now on waits for the transaction's end, and finds the run where that left it."""
    rows = ReconciliationRun.objects.filter(tenant_id=run.tenant_id, pk=run.pk)
    rows = rows.select_for_update(no_key=True) if lock else rows
    return bool(rows.values_list("cancel_requested_at", flat=True)[0])


_CANCELLABLE = (Status.SIMULATING, Status.SIMULATED, Status.EXECUTING)


def _stop(run: ReconciliationRun, **fields: Any) -> None:
    """Ends a cancelled run; called under the connection's lock."""
    with transaction.atomic():
        if move(run, _CANCELLABLE, Status.CANCELLED, finished_at=now(), **fields):
            record(run, Actor.who_signed(run.requested_by), "cancel", Act.RUN_CANCELLED, counts=tally(run))


def _still_there(scope: Scope, batch: Sequence[Planned]) -> dict[tuple[Any, ...], Hit]:
    """What the checks find now among the batch; what they do not find any more needs nothing."""
    found: dict[tuple[Any, ...], Hit] = {}
    for name in {item.check_name for item in batch} & CHECKS.keys():
        among = {_key(item)[0] for item in batch if item.check_name == name}
        for hit in CHECKS[name].look(scope, among):
            found[name, *hit.key] = hit
    return found


def _key(item: Planned | ReconciliationItem) -> Key:
    return item.row_id or item.account_id or item.identity_id, item.evidence.get("group", "")


def _key_of(item: Item) -> Key:
    return item["row_id"] or item["account_id"] or item["identity_id"], item["evidence"].get("group", "")


def _scope(run: ReconciliationRun, connection: Connection) -> Scope:
    rules = policies.rules(connection.tenant_id, [connection.pk])
    return Scope(
        connection=connection,
        policy=rules.policies[connection.pk],
        at=now(),
        actor=Actor.who_signed(run.requested_by),
        digest_key=rules.digest_key,
        request_id=str(run.pk),
        roster=run.roster,
    )


def _batches(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(rows)
    while batch := _next(iterator, size):
        yield batch


def _next(iterator: Iterator[T], size: int) -> list[T]:
    with uncollected():
        return list(islice(iterator, size))
