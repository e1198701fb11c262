"""The outbox: delivered once by however many workers, later where something fails, and never lost."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Lock
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import time_machine
from django.conf import settings
from django.db import connection, connections, transaction

from identity_hub import celery_app
from identity_hub.core.clock import now
from identity_hub.settings import env
from provisioning import outbox, tasks
from provisioning.decision.types import HoldKind
from provisioning.models import Hold, Identity, OutboxMessage, ReconciliationRun, Session
from provisioning.services import people
from provisioning.tasks import delivery

from ..cast import OPERATOR, House, push, session_of, sign_in, user


@pytest.mark.django_db
class TestDelivery:
    def test_sessions_from_before_the_epoch_rose_are_deleted(self, acme: House) -> None:
        identity = Identity.objects.get(pk=push(acme, user("ada@acme.example", "e1")).identity_id)
        old = session_of(identity)
        people.end_sessions(identity=identity, reason="lost phone", actor=OPERATOR)
        new = session_of(identity)
        assert delivery.drain() == 1
        assert list(Session.objects.values_list("pk", flat=True)) == [new.pk]
        assert old.pk != new.pk
        message = OutboxMessage.objects.get()
        assert (message.attempts, message.done_at is not None, message.last_error) == (1, True, "")
        assert delivery.drain() == 0

    def test_what_fails_is_tried_again_later_and_stops_nobody(
        self, acme: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failing = True
        seen: list[int] = []

        def handler(message: OutboxMessage) -> None:
            if failing and message.payload["n"] == 1:
                Hold.objects.create(  # undone with its failure
                    tenant=acme.tenant, identity_id=uuid4(), kind="admin", placed_by="x"
                )
                raise OSError("ada@acme.example is in this text")
            seen.append(message.payload["n"])

        monkeypatch.setitem(delivery.HANDLERS, "test", handler)
        outbox.enqueue([("test", {"n": n}, acme.tenant.pk) for n in (1, 2)])
        assert delivery.drain() == 2
        waiting = OutboxMessage.objects.get(done_at=None)
        assert (seen, waiting.last_error, waiting.attempts) == ([2], "OSError", 1)
        assert not Hold.objects.exists()
        assert delivery.drain() == 0
        failing = False
        with time_machine.travel(now() + timedelta(seconds=6)):
            assert delivery.drain() == 1
        assert seen == [2, 1]

    def test_waiting_grows_and_has_an_end(self) -> None:
        at = now()
        waits = [delivery._next_try(attempts, at) - at for attempts in (1, 2, 3, 50)]
        assert waits == [
            timedelta(seconds=5),
            timedelta(seconds=10),
            timedelta(seconds=20),
            timedelta(hours=1),
        ]

    @pytest.mark.parametrize(
        ("topic", "payload"),
        [
            pytest.param("of.tomorrow", {}, id="a topic of a newer version"),
            pytest.param("sessions.purge", {}, id="a payload without its key"),
            pytest.param("sessions.purge", {"identity": "no id"}, id="a payload that is no id"),
        ],
    )
    def test_what_nobody_understands_waits(self, acme: House, topic: str, payload: dict[str, Any]) -> None:
        outbox.enqueue([(topic, payload, acme.tenant.pk)])
        delivery.drain()
        message = OutboxMessage.objects.get()
        assert message.done_at is None
        assert message.last_error in ("KeyError", "ValueError")

    def test_a_released_run_is_published(self, acme: House, monkeypatch: pytest.MonkeyPatch) -> None:
        published: list[tuple[str, ...]] = []
        monkeypatch.setattr(
            tasks.execute_run, "apply_async", lambda args, kwargs: published.append(args) or True
        )
        run_id = str(uuid4())
        outbox.enqueue([("run.execute", {"run": run_id}, acme.tenant.pk)])
        delivery.drain()
        assert published == [(str(acme.tenant.pk), run_id)]


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_deliver_each_message_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    lock, barrier = Lock(), Barrier(2)

    def handler(message: OutboxMessage) -> None:
        with lock:
            seen.append(message.pk)

    monkeypatch.setitem(delivery.HANDLERS, "test", handler)
    monkeypatch.setattr(delivery, "BATCH", 7)
    outbox.enqueue([("test", {}, None) for _ in range(300)])

    def worker() -> int:
        try:
            barrier.wait(timeout=30)
            return delivery.drain()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        handled = [future.result(timeout=60) for future in [pool.submit(worker) for _ in range(2)]]
    assert len(seen) == len(set(seen)) == sum(handled) == 300
    assert not OutboxMessage.objects.filter(done_at=None).exists()


WITHOUT_REDIS = """
import django; django.setup()
from time import monotonic
from provisioning import outbox, tasks
from provisioning.decision.types import Actor
from provisioning.models import Identity, OutboxMessage, Session
from provisioning.services import people
for _ in range(20):
    started = monotonic()
    people.end_sessions(identity=Identity.objects.get(), reason="lost phone", actor=Actor(kind="command"))
    assert monotonic() - started < 2
assert OutboxMessage.objects.filter(done_at=None).count() == 20
tasks.drain_outbox()  # what beat orders every few seconds
assert not OutboxMessage.objects.filter(done_at=None).exists()
assert not Session.objects.exists()
outbox.enqueue([("run.execute", {"run": "x"}, Identity.objects.get().tenant_id)])
tasks.drain_outbox()
message = OutboxMessage.objects.get(topic="run.execute")
assert (message.done_at, message.last_error) == (None, "OSError")
"""


@pytest.mark.django_db(transaction=True)
def test_without_redis_a_write_neither_fails_nor_waits_and_its_work_is_done_later(acme: House) -> None:
    identity = Identity.objects.get(pk=push(acme, user("ada@acme.example", "e1")).identity_id)
    session_of(identity)
    database = urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_REDIS],
        cwd=settings.BASE_DIR,
        env={
            **env,
            "HUB_ENV": "test",
            "DJANGO_SETTINGS_MODULE": "identity_hub.settings",
            "DATABASE_URL": database,
            "REDIS_URL": "redis://127.0.0.1:1/0",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_write_nudges_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    nudges: list[None] = []
    monkeypatch.setattr(outbox, "nudge", lambda: nudges.append(None))
    with transaction.atomic():
        outbox.enqueue([("test", {}, None)])
        transaction.set_rollback(True)
    outbox.enqueue([("test", {}, None)])
    assert (len(nudges), OutboxMessage.objects.count()) == (1, 1)


@pytest.mark.django_db
class TestSchedule:
    def test_every_scheduled_job_exists(self) -> None:
        celery_app.loader.import_default_modules()
        for entry in celery_app.conf.beat_schedule.values():
            if entry["task"].startswith("provisioning."):
                assert entry["task"] in celery_app.tasks
        jobs = {entry["task"].rpartition(".")[2] for entry in celery_app.conf.beat_schedule.values()}
        assert jobs >= {
            *("drain_outbox", "reconcile_all", "purge_deleted", "trim_sessions"),
            *("trim_requests", "trim_access_tokens", "warn_of_token_expiry"),
        }

    def test_the_nightly_job_runs_each_active_connection(
        self, acme: House, globex: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            tasks.reconcile, "apply_async", lambda args, kwargs: tasks.reconcile(*args, **(kwargs or {}))
        )
        globex.connection.status = "disabled"
        globex.connection.save()
        sign_in(acme, "jit-1", at=now() - timedelta(days=30))
        tasks.reconcile_all()
        run = ReconciliationRun.objects.get()
        assert (run.connection_id, run.status, run.requested_by) == (acme.connection.pk, "done", "schedule:")
        assert Hold.objects.get().kind == HoldKind.EXPIRY

    def test_the_nightly_job_leaves_a_quarantine_alone(
        self, acme: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            tasks.reconcile, "apply_async", lambda args, kwargs: tasks.reconcile(*args, **(kwargs or {}))
        )
        for n in range(6):
            sign_in(acme, f"jit-{n}", at=now() - timedelta(days=30))
        tasks.reconcile_all()
        tasks.reconcile_all()
        assert ReconciliationRun.objects.get().status == "quarantined"
        assert not Hold.objects.exists()
