"""A whole run against a roster: finding the differences, doing them, and what the worker's memory does meanwhile.

The people and the roster's rows are copied in, as loading them is measured elsewhere. The worker is
`manage.py reconcile --execute` in a process of its own, whose resident memory is read all the while.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
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
    where = _connection()
    started = time.perf_counter()
    _people(where, people, now() - timedelta(days=30))
    print(f"{people:,} people copied in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    wanted = mix(people, changes)
    roster = _roster(where, wanted)
    with database.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    seconds = [_differences(where, roster, wanted) for _ in range(ROUNDS)]
    floor = [_floor(where, roster) for _ in range(ROUNDS)]
    worker = _work(where, wanted)
    run = ReconciliationRun.objects.get(connection=where)
    assert run.verified_at
    assert run.remaining == 0, run.remaining
    print("| work | measured | must |")
    print("|---|---:|---:|")
    print(
        f"| differences of {people:,} rows against {people:,} accounts | {statistics.median(seconds):.2f} s "
        f"({min(seconds):.2f} to {max(seconds):.2f}) | {MUST_DIFFER_IN:.0f} s |"
    )
    print(f"| the floor: one join of both on their key, counted | {statistics.median(floor):.2f} s | |")
    print(
        f"| executing {wanted.changes:,} changes ({wanted.changed:,} of attributes, {wanted.new:,} new people, "
        f"{wanted.inactive:,} ends) | {wanted.changes / worker.executing:,.0f} changes/s | {MUST_CHANGE:,}/s |"
    )
    print(f"| simulating them | {worker.simulating:.1f} s | |")
    print(f"| verifying | {worker.verifying:.1f} s | |")
    print(f"| memory of the worker, largest | {max(worker.memory)} MiB | {MUST_HOLD} MiB |")
    print(
        f"| memory of the worker, after a quarter, a half, three quarters, at the end | "
        f"{', '.join(str(size) for size in _quarters(worker.memory))} MiB | flat |"
    )


def _connection() -> Connection:
    slug = f"runs-{new_id().hex[-8:]}"
    tenant = configuration.create_tenant(slug=slug, name=slug, domains=[f"{slug}.example"], actor=OPERATOR)
    where = configuration.create_connection(tenant=tenant, name="Bench", status="active", actor=OPERATOR)
    # The guard is measured by nobody: a tenth of everybody ends.
    for limits in (tenant, where):
        limits.run_few = 10_000_000
        limits.run_most = 10_000_000
        limits.save()
    return where


def _people(where: Connection, number: int, at: datetime) -> None:
    domain = f"{where.tenant.slug}.example"
    for start in range(0, number, CHUNK):
        documents = [document(n, domain) for n in range(start, min(start + CHUNK, number))]
        ids = [new_id() for _ in documents]
        sql.copy(
            Identity,
            (
                _identity(where, key, profile_of_resource(one), at)
                for key, one in zip(ids, documents, strict=True)
            ),
        )
        sql.copy(Account, (_account(where, key, one, at) for key, one in zip(ids, documents, strict=True)))


def _identity(where: Connection, key: UUID, profile: Profile, at: datetime) -> sql.Row:
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


def _account(where: Connection, identity_id: UUID, resource: dict[str, Any], at: datetime) -> sql.Row:
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
        "email_keys": [fold(profile.email)],
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


def _roster(where: Connection, wanted: Mix) -> Roster:
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


def _differences(where: Connection, roster: Roster, wanted: Mix) -> float:
    started = time.perf_counter()
    roster_differences.find(where, roster)
    seconds = time.perf_counter() - started
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM roster_difference")
        (found,) = cursor.fetchone()
    assert found == wanted.changes, (found, wanted)
    return seconds


def _floor(where: Connection, roster: Roster) -> float:
    started = time.perf_counter()
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM provisioning_rosterrow r JOIN provisioning_account a USING (external_id) "
            "WHERE r.roster_id = %s AND a.connection_id = %s",
            [roster.pk, where.pk],
        )
    return time.perf_counter() - started


@dataclass(frozen=True, kw_only=True)
class Worker:
    memory: list[int]
    """MiB, five times a second."""
    simulating: float
    executing: float
    verifying: float


def _work(where: Connection, wanted: Mix) -> Worker:
    """Runs the worker; the times are those of what it stored."""
    command = [sys.executable, "manage.py", "reconcile", "--connection", str(where.pk), "--execute", "--json"]
    memory: list[int] = []
    with TemporaryFile() as said:
        process = subprocess.Popen(command, env=os.environ, stdout=said)
        while process.poll() is None:
            memory.append(_resident(process.pid))
            time.sleep(0.2)
        said.seek(0)
        answer = json.load(said)
    assert answer["status"] == "done", answer
    run = ReconciliationRun.objects.get(connection=where)
    decided = run.items.exclude(decided_at=None).order_by("decided_at").values_list("decided_at", flat=True)
    begun, ended = decided.first(), decided.last()
    assert run.simulated_at
    assert run.finished_at
    assert begun
    assert ended
    applied = run.items.filter(status="applied").count()
    assert applied == wanted.changes, (applied, run.counts)
    return Worker(
        memory=[size for size in memory if size],
        simulating=(run.simulated_at - run.started_at).total_seconds(),
        # From the simulation's end to the last batch's beginning, and that one batch.
        executing=(ended - run.simulated_at).total_seconds(),
        verifying=(run.finished_at - ended).total_seconds(),
    )


def _resident(pid: int) -> int:
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
