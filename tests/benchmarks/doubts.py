"""What a night looks for among the stored facts of a large tenant: each question by itself, and the whole look.

Everything is copied in: people of whom every second one has an account of a second identity provider, what logins said,
groups with what they give, holds. A question is asked as the nightly job asks it, all its cases read; the whole look is
`manage.py look_for_findings` in a process of its own, whose resident memory is read all the while.
"""

import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection as database

from identity_hub.core.clock import now
from identity_hub.core.ids import new_id
from provisioning import sql
from provisioning.decision.authority import ENTERPRISE_USER, profile_of_resource
from provisioning.models import Account, Connection, Identity
from provisioning.reconciliation.doubts import OF_CONNECTION, OF_TENANT
from provisioning.services import configuration
from tests.benchmarks import reconciling
from tests.benchmarks.population import OPERATOR, document
from tests.benchmarks.reconciling import CHUNK, MUST_HOLD, Taken, taken_by

MUST = 20.0
"""Seconds of processors of any question."""

_FILLING: Mapping[str, str] = {
    "a thousand groups": """
        INSERT INTO provisioning_directorygroup (id, tenant_id, connection_id, display_name, display_name_key, resource,
               external_id, version, created_at, updated_at)
        SELECT gen_random_uuid(), %(tenant)s, %(connection)s, CASE WHEN n %% 100 = 0 THEN 'Admins ' || n
               ELSE 'Group ' || n END, 'group ' || n, '{}', 'group-' || n, 1, %(at)s, %(at)s
          FROM generate_series(1, 1000) n""",
    "everybody is in two of them": """
        INSERT INTO provisioning_membership (tenant_id, group_id, account_id, since)
        SELECT %(tenant)s, g.id, a.id, %(at)s
          FROM (SELECT id, split_part(external_id, '-', 2)::int AS number FROM provisioning_directorygroup
                 WHERE tenant_id = %(tenant)s) g
          JOIN (SELECT id, unnest(ARRAY[1 + n %% 1000, 1 + (n * 7 + 3) %% 1000]) AS number
                  FROM (SELECT id, split_part(external_id, '-', 2)::int AS n FROM provisioning_account
                         WHERE tenant_id = %(tenant)s AND connection_id = %(connection)s) numbered) a USING (number)
        ON CONFLICT DO NOTHING""",
    "a fiftieth of the groups gives something": """
        WITH role AS (
            INSERT INTO provisioning_entitlement (id, tenant_id, kind, name, description, grants_staff)
            SELECT gen_random_uuid(), %(tenant)s, 'role', 'Role ' || n, '', false FROM generate_series(1, 20) n
            RETURNING id, split_part(name, ' ', 2)::int AS n
        ), by_push AS (
            INSERT INTO provisioning_entitlementmapping (id, tenant_id, entitlement_id, group_id, created_at)
            SELECT gen_random_uuid(), %(tenant)s, role.id, g.id, %(at)s
              FROM role JOIN provisioning_directorygroup g ON g.tenant_id = %(tenant)s
               AND g.external_id = 'group-' || role.n * 50
        )
        INSERT INTO provisioning_assertedgroup (id, tenant_id, connection_id, value, entitlement_id, created_at)
        SELECT gen_random_uuid(), %(tenant)s, %(connection)s, 'group-' || role.n * 50, role.id, %(at)s FROM role""",
    "one in twelve is held": """
        INSERT INTO provisioning_hold (id, tenant_id, identity_id, kind, source_account_id, reason, placed_by,
               placed_at)
        SELECT gen_random_uuid(), %(tenant)s, identity_id, 'admin', NULL, 'left', 'bench',
               %(at)s - (split_part(external_id, '-', 2)::int %% 60) * interval '1 day'
          FROM provisioning_account WHERE tenant_id = %(tenant)s AND connection_id = %(connection)s
           AND identity_id IS NOT NULL AND split_part(external_id, '-', 2)::int %% 12 = 0""",
}


@dataclass(frozen=True, kw_only=True)
class Large:
    first: Connection
    second: Connection


def report(people: int) -> None:
    large = load(people)
    print(f"\n| question, among {people:,} people | cases | on the wall | of processors | must |")
    print("|---|---:|---:|---:|---:|")
    at = now()
    every = [(row.question, row.look(large.first.tenant_id, at)) for row in OF_TENANT]
    every += [
        (f"{row.question} ({where.name})", row.look(where, at))
        for row in OF_CONNECTION
        for where in (large.first, large.second)
    ]
    for question, cases in every:
        found: list[int] = []
        taken = taken_by(partial(_count, cases, found))
        print(f"| {question} | {found[0]:,} | {taken} | {MUST:.0f} s |", flush=True)
    print("\n| the whole look | opened | found again | on the wall | of processors | largest, MiB | must |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for night in ("the first night", "the next night"):
        print(f"| {night} | {_look(large.first)} | {MUST_HOLD} |", flush=True)
    print("\n| `check_invariants` | on the wall | of processors | largest, MiB | must |")
    print("|---|---:|---:|---:|---:|")
    print(f"| every law | {_check(large.first)} | {MUST_HOLD} |")


def _count(cases: Iterable[Any], found: list[int]) -> None:
    found.append(sum(1 for _ in cases))


def load(people: int) -> Large:
    started, at = time.perf_counter(), now()
    first = reconciling.new_connection()
    second = configuration.create_connection(
        tenant=first.tenant, name="Second", status="active", actor=OPERATOR, reason="As agreed"
    )
    for where in (first, second):
        where.group_attribute, where.dormant_days, where.last_push_at = "groups", 180, at
        where.save()
    for start in range(0, people, CHUNK):
        _copy(first, second, range(start, min(start + CHUNK, people)), at)
    values = {"tenant": first.tenant_id, "connection": first.pk, "at": at}
    with database.cursor() as cursor:
        cursor.execute("ANALYZE")
        for statement in _FILLING.values():
            cursor.execute(statement, values)
        cursor.execute("VACUUM ANALYZE")
    print(
        f"{people:,} people and what is about them in {time.perf_counter() - started:.0f} s", file=sys.stderr
    )
    return Large(first=first, second=second)


def _copy(first: Connection, second: Connection, numbers: range, at: datetime) -> None:
    domain = f"{first.tenant.slug}.example"
    ids = {n: new_id() for n in numbers}
    said = {n: _said(n, domain) for n in numbers}
    sql.copy(
        Identity,
        (reconciling.identity_row(first, ids[n], profile_of_resource(said[n]), at) for n in numbers),
    )
    sql.copy(Account, (_first(first, n, ids[n], said[n], at) for n in numbers))
    sql.copy(Account, (_second(second, n, ids[n], said[n], at) for n in numbers if n % 2 == 0))


def _said(n: int, domain: str) -> dict[str, Any]:
    """Of one in five hundred two are one person: they share a number. Seven in ten have telephones, two in
    ten that of a switchboard, and a fifth an e-mail at home."""
    person = document(n, domain)
    number = n - 1 if n % 500 == 1 else n
    phones = [f"+49 (0)30 {10_000_000 + n}", f"+49 151-{20_000_000 + n}"] if n % 10 < 7 else []
    phones += [f"+49 40 5550{n % 2000:04}"] if n % 10 in (7, 8) else []
    emails = [*person["emails"], *([{"value": f"person{n}@mail.example"}] if n % 5 == 0 else [])]
    roles = [{"value": "Global Administrator" if n % 700 == 0 else "Reader"}] if n % 4 == 0 else []
    return {
        **person,
        "schemas": [*person["schemas"], ENTERPRISE_USER],
        "userType": "Employee",
        "emails": emails,
        **({"phoneNumbers": [{"value": phone} for phone in phones]} if phones else {}),
        **({"roles": roles} if roles else {}),
        ENTERPRISE_USER: {"employeeNumber": f"{number:07}"},
    }


def _first(where: Connection, n: int, identity_id: UUID, said: dict[str, Any], at: datetime) -> sql.Row:
    """A third signs in. Of one in two thousand the account has ended, and nothing holds the person."""
    row = reconciling.account_row(where, identity_id, said, at)
    group = 1 + n % 1000
    login = {
        "email": said["userName"],
        "family_name": "Exemple" if n % 1000 == 0 else "Example",
        "hr_number": said[ENTERPRISE_USER]["employeeNumber"],
        **({"groups": [f"group-{group}"]} if group % 50 == 0 and n % 7 else {}),
    }
    return {
        **row,
        "assertion": login if n % 3 == 0 else {},
        "last_login_at": at - timedelta(days=n % 190) if n % 3 == 0 else None,
        "deleted_at": at if n % 2000 == 1 else None,
    }


def _second(where: Connection, n: int, identity_id: UUID, said: dict[str, Any], at: datetime) -> sql.Row:
    """Some of what it says is otherwise; one in a thousand waits for its person."""
    roles = {"roles": [{"value": "Reader"}]} if n % 4 == 0 else {}
    number = f"x{n}" if n % 200 == 0 else said[ENTERPRISE_USER]["employeeNumber"]
    other = {
        **said,
        **roles,
        "userType": "Contractor" if n % 300 == 0 else "Employee",
        ENTERPRISE_USER: {"employeeNumber": number},
    }
    row = reconciling.account_row(where, identity_id, other, at)
    if n % 1000 == 998:
        row = {**row, "identity_id": None, "link_rule": "", "linked_at": None}
    return {**row, "active": n % 900 != 0, "last_login_at": None, "deleted_at": None}


def _look(where: Connection) -> str:
    """What the command counts, takes, and holds at most."""
    code, answer, taken = _command("look_for_findings", where)
    assert code == 0
    kinds = answer["kinds"].values()
    opened, known = (sum(one[name] for one in kinds) for name in ("opened", "known"))
    return f"{opened:,} | {known:,} | {taken}"


def _check(where: Connection) -> str:
    """What it takes, and holds at most. Copied rows have no decision in the audit, and are answered as they should."""
    code, answer, taken = _command("check_invariants", where)
    broken = {one["law"]: one["count"] for one in answer["broken"]}
    assert code == 1, broken
    assert broken["audit:made-each-account"] == Account.objects.filter(tenant_id=where.tenant_id).count()
    return taken


def _command(name: str, where: Connection) -> tuple[int, Any, str]:
    """Its exit code, what it says, and what it takes and holds at most."""
    command = [sys.executable, "manage.py", name, "--tenant", where.tenant.slug, "--json"]
    spent, started = reconciling.spent_by(os.getpid()) - _own(), time.perf_counter()
    code, answer, samples = reconciling.watched(command)
    taken = Taken(
        wall=time.perf_counter() - started, processors=max(sample.spent for sample in samples) - spent
    )
    return code, answer, f"{taken} | {max(sample.memory for sample in samples)}"


def _own() -> float:
    """Seconds of this process, which does nothing meanwhile."""
    return sum(os.times()[:2])


if __name__ == "__main__":
    raise SystemExit("python -m tests.benchmarks --only doubts")
