"""Workers that die, a database that restarts, a broker that is gone: nothing is done twice, and nothing is lost.

Every process is real. What a worker does when it is killed, by which statement, and what hammers on the same people
meanwhile stands in workers.py.
"""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings
from django.db import connection as database

from identity_hub.core.clock import now
from identity_hub.local import places
from identity_hub.local.postgres import Postgres
from identity_hub.local.redis import Redis
from identity_hub.settings import BASE_DIR, env
from provisioning import reconciliation
from provisioning.decision.types import HoldKind, Intent
from provisioning.models import (
    Account,
    AuditRecord,
    Finding,
    Hold,
    Identity,
    Membership,
    OutboxMessage,
    ReconciliationItem,
    ReconciliationRun,
    Tenant,
)
from provisioning.selectors.invariants import CATALOGUE, INSTALLATION, violations
from provisioning.services import people, submit_many
from provisioning.services.groups import submit_group
from tests.identity_hub.gunicorn import gunicorn
from tests.saml_sp.idp import TestIdp, key_pair

from ..cast import OPERATOR, House, asserted, extend, house, pushed, session_of, user
from ..reconciliation.listings import line, roster
from ..services.test_groups import group
from .visitors import Visitors

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

MINUTE = 60
"""Seconds for which Redis is away: by then the attempts of whoever looks for it are far apart."""
EXPIRED, GHOSTS, INTRUDERS, SAME, CHANGED, GONE, NEW = 60, 10, 5, 10, 6, 6, 20
ITEMS = {
    "unconfirmed": EXPIRED,
    "ghost-memberships": GHOSTS,
    "held-with-sessions": INTRUDERS,
    "roster-changed": CHANGED,
    "roster-gone": GONE,
    "roster-new": NEW,
}
ITEMS_BEFORE_SESSIONS = sum(ITEMS.values()) - INTRUDERS - GHOSTS - 5
"""But for a batch that may not have been settled."""
DONE = {
    "account:created": NEW,
    "account:expired": EXPIRED,
    "account:missing": GONE,
    "account:updated": CHANGED,
    "group:updated": GHOSTS,
    "identity:session-of-held": INTRUDERS,
}
"""What the audit says of it."""
Run = ReconciliationRun


@pytest.fixture
def scene() -> House:
    """A connection with something for every check that does something, and numbers that keep the guard calm."""
    where = house("acme", run_few=EXPIRED + GONE)
    Tenant.objects.update(run_few=EXPIRED + GONE)
    long_ago = now() - timedelta(days=30)
    submit_many([asserted(where, f"jit{n}", at=long_ago) for n in range(EXPIRED)])
    listed = [(f"person{n}@acme.example", f"key{n}") for n in range(INTRUDERS + SAME + CHANGED)]
    others = [(f"gone{n}@acme.example", f"gone{n}") for n in range(GHOSTS + GONE)]
    known = submit_many(
        [pushed(where, Intent.CREATE, user(name, key), at=long_ago) for name, key in (*listed, *others)]
    )
    ghosts = known[len(listed) : len(listed) + GHOSTS]
    made = submit_group(
        group(where, Intent.CREATE, display_name="Staff", add=tuple(o.account_id for o in known))  # type: ignore[misc]
    )
    submit_many([pushed(where, Intent.DELETE, account_id=one.account_id, at=long_ago) for one in ghosts])
    # What only an older hub, or a hand in the database, leaves behind.
    Membership.objects.bulk_create(
        Membership(tenant=where.tenant, group_id=made.account_id, account_id=one.account_id) for one in ghosts
    )
    for one in known[:INTRUDERS]:
        identity = Identity.objects.get(pk=one.identity_id)
        people.place_hold(identity=identity, kind=HoldKind.ADMIN, reason="a story", actor=OPERATOR)
        OutboxMessage.objects.all().delete()
        session_of(identity)
    lines = [line(name, key) for name, key in listed[:-CHANGED]]
    lines += [line(name, key, given_name="Augusta") for name, key in listed[-CHANGED:]]
    lines += [line(f"new{n}@acme.example", f"new{n}") for n in range(NEW)]
    for days in (2, 1):
        roster(where, *lines, as_of=now() - timedelta(days=days))
    return where


def work(name: str, where: House, *, url: str | None = None, seed: int = 1) -> dict[str, Any]:
    with begun(name, where, url=url, seed=seed) as process:
        said, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    answer: dict[str, Any] = json.loads(said)
    return answer | {"complaints": complaints}


@contextmanager
def begun(
    name: str, where: House, *, url: str | None = None, seed: int = 1
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.provisioning.faults.workers",
            name,
            str(seed),
            str(where.connection.pk),
        ],
        cwd=BASE_DIR,
        env=environment(url or database_url(), "redis://127.0.0.1:1/0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def environment(database_address: str, redis: str) -> dict[str, str]:
    return {
        **env,
        "HUB_ENV": "test",
        "DJANGO_SETTINGS_MODULE": "identity_hub.settings",
        "DATABASE_URL": database_address,
        "REDIS_URL": redis,
    }


def database_url() -> str:
    return urlsplit(settings.DATABASE_URL)._replace(path=f"/{database.settings_dict['NAME']}").geturl()


def everything_was_done_once(where: House) -> None:
    """Each of the scene's people was met once, all of it is on record, and the laws hold."""
    runs = Run.objects.filter(
        tenant_id=where.tenant.pk, items__check_name="unconfirmed", status=Run.Status.DONE
    )
    (run,) = runs.distinct()
    done = run.items.exclude(status="reported").values_list("check_name", "status")
    assert Counter(done) == {(check, "applied"): number for check, number in ITEMS.items()}
    rows = AuditRecord.objects.filter(tenant_id=where.tenant.pk, channel="roster", verdict="applied")
    # Of runs and of what was asked about, the hub tells beside them.
    rows = rows.exclude(reason__startswith="run:").exclude(reason__startswith="finding:")
    assert Counter(rows.values_list("reason", flat=True)) == DONE
    assert Hold.objects.filter(kind="expiry").count() == EXPIRED
    assert Finding.objects.filter(kind="account:unconfirmed").count() == EXPIRED
    assert not Membership.objects.filter(account__deleted_at__isnull=False).exists()
    the_laws_hold(where)
    # Nothing is left to be done, and no run is left behind.
    again = reconciliation.simulate(where.connection, OPERATOR, reason="As agreed")
    assert not again.items.exclude(status="reported").exists()
    assert not Run.objects.filter(status__in=("simulating", "executing")).exists()


def the_laws_hold(where: House) -> None:
    # The test database runs without one of the audit's guards (tests/conftest.py).
    database_itself = [law for law in (*CATALOGUE, *INSTALLATION) if law.name != "audit:append-only"]
    found = [
        *violations(tenant_id=where.tenant.pk, at=now()),
        *violations(tenant_id=None, at=now(), laws=database_itself),
    ]
    assert [(one.law.name, one.id, one.beside) for one in found] == []


def test_a_run_whose_worker_is_killed_ten_times_does_everything_once(scene: House) -> None:
    seed = int(os.environ.get("DICE") or random.SystemRandom().randrange(2**31))
    print(f"DICE={seed} tells it again.")  # noqa: T201 - shown where it fails
    answer = work("kill", scene, seed=seed)
    assert answer["codes"] == [-9] * 10 + [0], answer
    # While it simulated, in a batch of each kind, while it looked again, and where it was about to say so.
    *_, gone, new, expired, sessions, ghosts, verifying, _ending = answer["left"]
    executing = [int(left.removeprefix("executing ")) for left in (gone, new, expired, sessions, ghosts)]
    assert executing == sorted(executing), answer
    assert executing[3] >= ITEMS_BEFORE_SESSIONS, answer
    assert verifying == f"executing {sum(ITEMS.values())}", answer
    everything_was_done_once(scene)


def test_two_workers_with_one_run_and_beat_firing_twice_do_everything_once(scene: House) -> None:
    answer = work("twice", scene)
    assert answer["codes"] == [0, 0, 0, 0], answer["complaints"]
    everything_was_done_once(scene)


def test_pushes_and_logins_of_the_same_people_during_a_run_lose_nothing(scene: House) -> None:
    answer = work("hammer", scene)
    assert answer["codes"] == [0, 0, 0, 0, 0], answer["complaints"]
    the_laws_hold(scene)
    for account in Account.objects.filter(origin="jit"):
        held = Hold.objects.filter(kind="expiry", source_account_id=account.pk).exists()
        # SCIM's word counts whenever it comes: before the run, during it, or after.
        assert held is (account.confirmed_at is None), account.pk
    planned = ReconciliationItem.objects.exclude(status="reported")
    assert {*planned.values_list("status", flat=True)} == {"applied", "unchanged"}


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    """A server that may be restarted."""
    server = Postgres(tmp_path / "postgres")
    server.start()
    yield server
    server.stop()


def test_a_database_that_restarts_in_the_middle_of_a_batch_loses_nothing(
    scene: House, postgres: Postgres
) -> None:
    url = postgres.url("identity_hub")
    moved = subprocess.run(
        [postgres.programs / "pg_dump", "--no-owner", "--dbname", database_url()],
        capture_output=True,
        check=True,
    )
    subprocess.run(
        [postgres.programs / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", url],
        input=moved.stdout,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    with psycopg.connect(url) as there:
        for table in ("provisioning_auditrecord", "provisioning_auditvalue"):
            there.execute(f"ALTER TABLE {table} ENABLE TRIGGER append_only_table")
    with begun("restart", scene, url=url, seed=60) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        postgres.stop()
        postgres.start()
        said, complaints = process.communicate(timeout=60)
    assert json.loads(said)["codes"] == [1, 0], complaints
    checked = subprocess.run(
        [sys.executable, "manage.py", "check_invariants"],
        cwd=BASE_DIR,
        env=environment(url, ""),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout[:4]) == (0, "All "), checked.stdout
    with psycopg.connect(url) as there:
        told = there.execute(
            "SELECT reason, count(*)::int FROM provisioning_auditrecord "
            "WHERE channel = 'roster' AND verdict = 'applied' AND reason !~ '^(run|finding):' GROUP BY 1"
        ).fetchall()
        runs = there.execute("SELECT status FROM provisioning_reconciliationrun").fetchall()
    assert (dict(told), runs) == (DONE, [("done",)])


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A server that may go away, and comes back without anything that it held."""
    server = Redis(tmp_path / "redis", ephemeral=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def worker(redis: Redis, tmp_path: Path) -> Iterator[Path]:
    """Celery as in production, with beat in the same process; the path of its log."""
    log = tmp_path / "worker.log"
    process = places.spawn(
        [
            *(sys.executable, "-m", "celery", "-A", "identity_hub", "worker", "--beat"),
            *("--pool", "threads", "--concurrency", "2", "--loglevel", "INFO"),
        ],
        stop_signal=signal.SIGTERM,
        log=log,
        cwd=BASE_DIR,
        env=environment(database_url(), redis.url()),
    )
    yield log
    places.stop(process, signal.SIGTERM, seconds=10)


def test_a_minute_without_redis_keeps_nobody_out_and_an_ordered_run_is_done_once_when_it_is_back(
    scene: House, redis: Redis, worker: Path, tmp_path: Path
) -> None:
    def idle() -> bool:
        return not OutboxMessage.objects.filter(done_at=None).exists()

    # Beside the run's connection: what joins and leaves there is no matter of the run.
    idp = TestIdp(entity_id="https://idp.example/metadata", keys=key_pair("corp"))
    web = extend(scene.tenant, name="Web", idp_metadata=idp.metadata())
    with gunicorn(tmp_path / "gunicorn.log", REDIS_URL=redis.url()) as port:
        visitors = Visitors(hub=f"http://127.0.0.1:{port}", where=web, idp=idp)
        visitors.joiner_and_leaver()
        assert places.wait_until(idle, seconds=60), worker.read_text()
        run = reconciliation.simulate(scene.connection, OPERATOR, reason="As agreed")
        redis.stop()
        back_at = monotonic() + MINUTE
        reconciliation.order(run, OPERATOR, "looked at it")
        while monotonic() < back_at:
            visitors.joiner_and_leaver()
            # As fast as they come, they would take the processor from whatever else is tested meanwhile.
            sleep(0.5)
        assert len(visitors.came) > 5
        assert max(visitors.seconds) < 10
        assert "Connection to broker lost" in worker.read_text()
        run.refresh_from_db()
        assert run.status == Run.Status.SIMULATED
        waiting = OutboxMessage.objects.filter(done_at=None)
        assert waiting.filter(topic="run.execute").count() == 1
        assert waiting.filter(topic="sessions.purge").count() == len(visitors.came) - 1
        redis.start()

        def done() -> bool:
            run.refresh_from_db()
            return run.status == Run.Status.DONE and idle()

        assert places.wait_until(done, seconds=90), worker.read_text()
        visitors.joiner_and_leaver()
    everything_was_done_once(scene)
    told = AuditRecord.objects.filter(connection_id=web.connection.pk, account_id__isnull=False)
    assert Counter(told.values_list("reason", flat=True)) == dict.fromkeys(
        ("account:created", "login:account-bound", "account:disabled"), len(visitors.came)
    )
