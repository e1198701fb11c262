"""A whole run against a roster: finding the differences, doing them, and what the worker's memory does meanwhile.

The people and the roster's rows are copied in, as loading them is measured elsewhere. The worker is
`manage.py reconcile --execute` in a process of its own, whose resident memory is read all the while. Beside the time on
the wall stands the processors': of the worker, and of the whole database. One works while the other waits, so on a
machine that does nothing else that is the time it takes, but for the disk's at each commit.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from uuid import UUID

from django.db import connection as database

from identity_hub.core.clock import now
from identity_hub.core.ids import new_id
from provisioning import sql
from provisioning.apply import NEW_IDENTITY
from provisioning.decision.authority import ENTERPRISE_USER, profile_of_resource
from provisioning.decision.keys import fold
from provisioning.decision.types import Profile
from provisioning.fingerprints import FIELDS, fingerprint
from provisioning.load import email_keys
from provisioning.models import Account, Connection, Identity, ReconciliationRun, Roster, RosterRow
from provisioning.search import search_keys
from provisioning.selectors import roster_differences
from provisioning.services import configuration
from tests.benchmarks.population import OPERATOR, document

MUST_DIFFER_IN = 5.0
MUST_CHANGE = 2000
MUST_HOLD = 300
"""Seconds, changes a second, MiB."""
CHUNK = 10_000
ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class Mix:
    """What a roster says about so many people who are here: the rest of them is as it says."""

    people: int
    changed: int
    new: int
    inactive: int

    @property
    def changes(self) -> int:
        return self.changed + self.new + self.inactive


def mix(people: int, changes: int) -> Mix:
    """Seven in ten are other values, two are new people, one is an end."""
    new, inactive = changes * 2 // 10, changes // 10
    return Mix(people=people, changed=changes - new - inactive, new=new, inactive=inactive)


def report(people: int, changes: int) -> None:
    where = new_connection()
    started = time.perf_counter()
    copy_people(where, people, now() - timedelta(days=30))
    print(f"{people:,} people copied in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    wanted = mix(people, changes)
    roster = copy_roster(where, wanted)
    with database.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    found = [_differences(where, roster, wanted) for _ in range(ROUNDS)]
    floor = [_floor(where, roster) for _ in range(ROUNDS)]
    worker = _work(where, wanted)
    run = ReconciliationRun.objects.get(connection=where)
    assert run.verified_at
    assert run.remaining == 0, run.remaining
    print("\n| work | on the wall | of processors | must |")
    print("|---|---:|---:|---:|")
    print(
        f"| differences of {people:,} rows against {people:,} accounts | {median_of(found)} | {MUST_DIFFER_IN:.0f} s |"
    )
    print(f"| the floor: one join of both on their key, counted | {median_of(floor)} | |")
    print(f"| simulating {wanted.changes:,} changes | {worker.simulating} | |")
    print(
        f"| executing them: {wanted.changed:,} of attributes, {wanted.new:,} new people, {wanted.inactive:,} ends "
        f"| {worker.executing} | |"
    )
    print(
        f"| changes a second | {wanted.changes / worker.executing.wall:,.0f} "
        f"| {wanted.changes / worker.executing.processors:,.0f} | {MUST_CHANGE:,} |"
    )
    print(f"| verifying | {worker.verifying} | |")
    print(
        f"\nThe worker held {max(worker.memory)} MiB at its largest (must: {MUST_HOLD}); after a quarter, a half and "
        f"three quarters of its time and at its end {', '.join(str(size) for size in _quarters(worker.memory))} MiB."
    )


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Seconds."""

    wall: float
    processors: float

    def __str__(self) -> str:
        return f"{self.wall:.2f} s | {self.processors:.2f} s"


def median_of(taken: list[Taken]) -> Taken:
    return Taken(
        wall=statistics.median(one.wall for one in taken),
        processors=statistics.median(one.processors for one in taken),
    )


def new_connection() -> Connection:
    slug = f"runs-{new_id().hex[-8:]}"
    tenant = configuration.create_tenant(
        slug=slug, name=slug, domains=[f"{slug}.example"], actor=OPERATOR, reason="As agreed"
    )
    where = configuration.create_connection(
        tenant=tenant, name="Bench", status="active", actor=OPERATOR, reason="As agreed"
    )
    # The guard is measured by nobody: a tenth of everybody ends.
    for limits in (tenant, where):
        limits.run_few = 10_000_000
        limits.run_most = 10_000_000
        limits.save()
    return where


def copy_people(where: Connection, number: int, at: datetime) -> None:
    domain = f"{where.tenant.slug}.example"
    for start in range(0, number, CHUNK):
        documents = [document(n, domain) for n in range(start, min(start + CHUNK, number))]
        ids = [new_id() for _ in documents]
        sql.copy(
            Identity,
            (
                identity_row(where, key, profile_of_resource(one), at)
                for key, one in zip(ids, documents, strict=True)
            ),
        )
        sql.copy(Account, (account_row(where, key, one, at) for key, one in zip(ids, documents, strict=True)))


def identity_row(where: Connection, key: UUID, profile: Profile, at: datetime) -> sql.Row:
    shown = {name: getattr(profile, name) for name in Profile.__dataclass_fields__}
    return {
        **NEW_IDENTITY,
        "id": key,
        "tenant_id": where.tenant_id,
        "created_at": at,
        "updated_at": at,
        **shown,
        "user_name_key": fold(profile.user_name),
        "email_key": fold(profile.email),
    }


def account_row(where: Connection, identity_id: UUID, resource: dict[str, Any], at: datetime) -> sql.Row:
    profile = profile_of_resource(resource)
    key = str(resource["externalId"])
    return {
        "id": new_id(),
        "tenant_id": where.tenant_id,
        "connection_id": where.pk,
        "identity_id": identity_id,
        "link_rule": "created",
        "link_evidence": {},
        "linked_at": at,
        "origin": "scim",
        "lifecycle_owner": "scim",
        "confirmed_at": at,
        "active": True,
        "version": 1,
        "user_name": profile.user_name,
        "user_name_key": fold(profile.user_name),
        "external_id": key,
        "email_keys": email_keys(resource, [profile.email]),
        "unique_keys": [],
        "search": search_keys(resource),
        "fingerprint": fingerprint(
            external_id=key, user_name=profile.user_name, active=True, profile=profile
        ),
        "resource": resource,
        "assertion": {},
        "created_at": at,
        "updated_at": at,
        "subject_issuer": "",
        "subject_format": "",
        "subject_value": "",
    }


def copy_roster(where: Connection, wanted: Mix) -> Roster:
    roster = Roster.objects.create(
        tenant_id=where.tenant_id,
        connection=where,
        source="csv",
        as_of=now(),
        completed_at=now(),
        row_count=wanted.people,
        fields=list(FIELDS),
        status=Roster.Status.COMPLETE,
        requested_by=OPERATOR.signature,
    )
    sql.copy(RosterRow, _rows(roster, wanted))
    return roster


def _rows(roster: Roster, wanted: Mix) -> Iterator[sql.Row]:
    """Everybody who is here, spread: every so manieth is somebody who differs, and behind them the new ones."""
    domain = f"{roster.tenant.slug}.example"
    turns = wanted.changed + wanted.inactive
    every = max(1, wanted.people // max(1, turns))
    ends = 0
    for n in range(wanted.people + wanted.new):
        turn, rest = divmod(n, every)
        differs = n < wanted.people and rest == 0 and turn < turns
        ending = differs and ends < wanted.inactive and turn % (turns // wanted.inactive) == 0
        ends += ending
        said = document(n, domain) | {"active": not ending}
        if (differs and not ending) or n >= wanted.people:
            said["schemas"] = [*said["schemas"], ENTERPRISE_USER]
            said[ENTERPRISE_USER] = {"department": "Elsewhere"}
        yield _row(roster, n + 2, said)


def _row(roster: Roster, line: int, said: dict[str, Any]) -> sql.Row:
    profile = profile_of_resource(said)
    return {
        "tenant_id": roster.tenant_id,
        "roster_id": roster.pk,
        "line": line,
        "user_name": profile.user_name,
        "user_name_key": fold(profile.user_name),
        "external_id": said["externalId"],
        "hr_number": "",
        "active": said["active"],
        "email_keys": [fold(profile.email)],
        "fingerprint": fingerprint(
            external_id=said["externalId"],
            user_name=profile.user_name,
            active=said["active"],
            profile=profile,
        ),
        "document": said,
    }


def _differences(where: Connection, roster: Roster, wanted: Mix) -> Taken:
    taken = taken_by(lambda: roster_differences.find(where, roster))
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM roster_difference")
        (found,) = cursor.fetchone()
    assert found == wanted.changes, (found, wanted)
    return taken


def _floor(where: Connection, roster: Roster) -> Taken:
    with database.cursor() as cursor:
        return taken_by(
            lambda: cursor.execute(
                "SELECT count(*) FROM provisioning_rosterrow r JOIN provisioning_account a USING (external_id) "
                "WHERE r.roster_id = %s AND a.connection_id = %s",
                [roster.pk, where.pk],
            )
        )


def taken_by(work: Callable[[], object]) -> Taken:
    started, spent = time.perf_counter(), spent_by(os.getpid())
    work()
    return Taken(wall=time.perf_counter() - started, processors=spent_by(os.getpid()) - spent)


@dataclass(frozen=True, kw_only=True)
class Worker:
    memory: list[int]
    """MiB, five times a second."""
    simulating: Taken
    executing: Taken
    verifying: Taken


def _work(where: Connection, wanted: Mix) -> Worker:
    """Runs the worker; the times on the wall are those that it stored."""
    where_and_why = ["--connection", str(where.pk), "--reason", "Measured"]
    command = [sys.executable, "manage.py", "reconcile", *where_and_why, "--execute", "--json"]
    _, answer, samples = watched(command)
    spent = [(sample.at, sample.spent) for sample in samples]
    assert answer["status"] == "done", answer
    run = ReconciliationRun.objects.get(connection=where)
    decided = run.items.exclude(decided_at=None).order_by("decided_at").values_list("decided_at", flat=True)
    ended = decided.last()
    assert run.simulated_at
    assert run.finished_at
    assert ended
    applied = run.items.filter(status="applied").count()
    assert applied == wanted.changes, (applied, run.counts)

    def between(begun: datetime, ended: datetime) -> Taken:
        return Taken(
            wall=(ended - begun).total_seconds(),
            processors=max(own for at, own in spent if at <= ended)
            - max((own for at, own in spent if at <= begun), default=0.0),
        )

    return Worker(
        memory=[sample.memory for sample in samples if sample.memory],
        simulating=between(run.started_at, run.simulated_at),
        # Until the last batch begins: one of hundreds.
        executing=between(run.simulated_at, ended),
        verifying=between(ended, run.finished_at),
    )


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What a process holds (MiB) and has used (seconds of processors, with all of PostgreSQL) at a moment."""

    at: datetime
    memory: int
    spent: float


def watched(command: list[str]) -> tuple[int, Any, list[Sample]]:
    """Runs a program: its exit code, the JSON that it says, and what it took, looked at five times a second."""
    samples: list[Sample] = []
    with TemporaryFile() as said:
        process = subprocess.Popen(command, env=os.environ, stdout=said)
        while process.poll() is None:
            samples.append(Sample(at=now(), memory=resident(process.pid), spent=spent_by(process.pid)))
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        said.seek(0)
        return process.returncode, json.load(said), samples


def spent_by(pid: int) -> float:
    """Seconds of processors that a process and all of PostgreSQL have used so far."""
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    _, postmaster = _ticks(backend)
    # Of those that have ended the postmaster knows; the others are asked one by one.
    every = [_ticks(int(one.name)) for one in Path("/proc").iterdir() if one.name.isdigit()]
    living = sum(ticks for ticks, parent in every if parent == postmaster)
    total = _ticks(pid)[0] + _ticks(postmaster, ended=True)[0] + living
    return total / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int, *, ended: bool = False) -> tuple[int, int]:
    """(own, and of the children that have ended if wanted; the parent)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0, 0
    return sum(int(ticks) for ticks in fields[11 : 15 if ended else 13]), int(fields[1])


def resident(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(fields.get("VmRSS", "0 kB").split()[0]) // 1024


def _quarters(sizes: list[int]) -> list[int]:
    return [sizes[len(sizes) * part // 4 - 1] for part in (1, 2, 3, 4)]


if __name__ == "__main__":
    raise SystemExit("python -m tests.benchmarks --only reconciling")
