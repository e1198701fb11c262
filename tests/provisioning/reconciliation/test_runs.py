"""A run simulates without touching anybody, stops before it destroys, and survives being killed."""

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.conf import settings
from django.db import connection, connections

from identity_hub.core.clock import now
from identity_hub.settings import env
from provisioning import reconciliation
from provisioning.decision.types import Actor, HoldKind, Intent
from provisioning.models import (
    Account,
    AuditRecord,
    Connection,
    Finding,
    Hold,
    Identity,
    Membership,
    OutboxMessage,
    ReconciliationItem,
    ReconciliationRun,
    Session,
)
from provisioning.reconciliation import Choice, runs
from provisioning.services import findings, linking, people, submit, undo
from provisioning.services.groups import submit_group
from provisioning.tasks import delivery

from ..cast import House, extend, house, push, pushed, sign_in, user
from ..services.test_groups import group
from .listings import line, roster

OPERATOR = Actor(kind="command", id="tests")
Status = ReconciliationRun.Status
Unconfirmed = Callable[..., list[Identity]]
Confirmed = Callable[[House, int], None]

pytestmark = pytest.mark.django_db


def planned(run: ReconciliationRun) -> list[ReconciliationItem]:
    return list(run.items.exclude(status="reported"))


def written() -> dict[str, int]:
    models = (Account, Finding, Hold, Identity, Membership, OutboxMessage, Session)
    return {model.__name__: model.objects.count() for model in models} | {
        "epochs": sum(Identity.objects.values_list("session_epoch", flat=True))
    }


def test_a_simulation_writes_nothing_but_its_run_and_items(acme: House, unconfirmed: Unconfirmed) -> None:
    unconfirmed(acme, 2)
    before, audited = written(), AuditRecord.objects.count()
    run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
    assert written() == before
    assert [r.reason for r in AuditRecord.objects.order_by("id")[audited:]] == [
        "run:started",
        "run:simulated",
    ]
    assert (run.status, run.population, run.destructive) == (Status.SIMULATED, 2, 2)
    assert run.counts == {"account:expired": 2}
    item = planned(run)[0]
    assert [line["change"] for line in item.plan] == ["PlaceHold", "EndSessions", "OpenFinding"]
    assert (item.status, item.destructive, item.inverse) == ("planned", True, [])


def test_after_an_execution_a_second_simulation_is_empty(acme: House, unconfirmed: Unconfirmed) -> None:
    identity, *_ = unconfirmed(acme, 3)
    seen: list[tuple[int, int]] = []
    run = reconciliation.execute(
        reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"),
        lambda done, total: seen.append((done, total)),
    )
    assert (run.status, seen) == (Status.DONE, [(3, 3)])
    assert not identity.is_active
    assert Hold.objects.filter(kind="expiry").count() == Finding.objects.count() == 3
    item = run.items.get(identity=identity)
    assert item.status == "applied"
    assert [line["change"] for line in item.inverse] == ["WithdrawFinding", "LiftHold"]
    assert item.inverse[1]["kind"] == HoldKind.EXPIRY
    assert planned(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")) == []
    reasons = list(
        AuditRecord.objects.filter(object_id=run.pk).order_by("id").values_list("reason", flat=True)
    )
    assert reasons == ["run:started", "run:simulated", "run:executed", "run:verified"]


def test_who_ordered_an_execution_is_on_record(acme: House, unconfirmed: Unconfirmed) -> None:
    unconfirmed(acme)
    run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
    reconciliation.order(run, Actor(kind="identity", id="somebody"), "looked at it")
    record = AuditRecord.objects.get(reason="run:ordered")
    assert (record.actor_id, record.object_id) == ("somebody", run.pk)
    assert OutboxMessage.objects.get(topic="run.execute").payload == {"run": str(run.pk)}
    assert not Hold.objects.exists()


def test_whom_a_person_lets_back_in_is_not_held_again(acme: House, unconfirmed: Unconfirmed) -> None:
    (identity,) = unconfirmed(acme)
    reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))
    people.lift_hold(identity=identity, kind=HoldKind.EXPIRY, reason="known", actor=OPERATOR)
    assert Identity.objects.get(pk=identity.pk).is_active
    assert planned(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")) == []


def test_an_execution_decides_again(acme: House, unconfirmed: Unconfirmed) -> None:
    """A SCIM push between the simulation and the execution wins."""
    unconfirmed(acme, 2)
    run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
    account = Account.objects.order_by("id")[0]
    document = user(account.user_name, account.asserted_key)
    assert push(acme, document).reason == "account:adopted"
    reconciliation.execute(run)
    assert {item.account_id: item.status for item in planned(run)} == {
        account.pk: "unchanged",
        Account.objects.order_by("id")[1].pk: "applied",
    }


def test_the_grace_of_who_needed_an_approval_begins_when_it_is_given(acme: House) -> None:
    Connection.objects.filter(pk=acme.connection.pk).update(jit_approval=True)
    acme.connection.refresh_from_db()
    begins = now()
    sign_in(acme, "ada", at=begins)
    push(acme, user("bob@acme.example", "k2"), at=begins)

    def kinds(*, days: int) -> list[str]:
        with time_machine.travel(begins + timedelta(days=days)):
            reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))
        return list(Hold.objects.values_list("kind", flat=True))

    assert kinds(days=30) == ["approval"]
    with time_machine.travel(begins + timedelta(days=30)):
        request = Finding.objects.get(kind="account:approval-requested")
        findings.decide(finding=request, approve=True, reason="known", actor=OPERATOR)
    assert kinds(days=43) == []
    assert kinds(days=45) == ["expiry"]


@pytest.mark.parametrize("what", ["an account that nobody confirmed", "one that is listed", "a group"])
def test_what_somebody_deletes_between_the_look_and_the_lock_needs_nothing(
    acme: House, unconfirmed: Unconfirmed, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def delete_account() -> None:
        submit(pushed(acme, Intent.DELETE, account_id=account_id))

    def delete_group() -> None:
        submit_group(group(acme, Intent.DELETE, group_id=group_id))

    delete = delete_account
    if what == "an account that nobody confirmed":
        unconfirmed(acme)
        account_id = Account.objects.get().pk
    else:
        account_id = push(acme, user("ada@acme.example", "k1")).account_id
    if what == "one that is listed":
        roster(acme, line("ada@acme.example", "k1", given_name="Adele"))
    if what == "a group":
        group_id = submit_group(group(acme, Intent.CREATE, display_name="Staff")).account_id
        delete_account()
        Membership.objects.create(tenant=acme.tenant, group_id=group_id, account_id=account_id)
        delete = delete_group
    run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
    (item,) = planned(run)
    look = runs._still_there

    def meanwhile(*arguments: Any) -> Any:
        found = look(*arguments)
        delete()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(runs, "_still_there", meanwhile)
        run = reconciliation.execute(run)
    item.refresh_from_db()
    assert (item.status, run.status, run.remaining) == ("unchanged", Status.DONE, 0)


def test_a_neighbour_is_not_touched(acme: House, globex: House, unconfirmed: Unconfirmed) -> None:
    unconfirmed(acme)
    unconfirmed(globex)
    other = extend(acme.tenant, "Other")
    reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))
    assert {hold.tenant_id for hold in Hold.objects.all()} == {acme.tenant.pk}
    assert planned(reconciliation.simulate(other.connection, OPERATOR, reason="As agreed")) == []
    assert len(planned(reconciliation.simulate(globex.connection, OPERATOR, reason="As agreed"))) == 1


class TestQuarantine:
    @pytest.fixture
    def run(self, acme: House, unconfirmed: Unconfirmed) -> ReconciliationRun:
        unconfirmed(acme, 6)
        return reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")

    def test_too_much_destruction_waits_for_a_person(self, run: ReconciliationRun) -> None:
        assert (run.status, run.destructive) == (Status.QUARANTINED, 6)
        assert run.note == "6 of 6 people would lose access: more than 5, and more than 20 %, in one run."
        assert reconciliation.execute(run).status == Status.QUARANTINED
        assert not Hold.objects.exists()
        # The connection's runs wait, not only this one.
        assert reconciliation.simulate(run.connection, OPERATOR, reason="As agreed") == run

    def test_a_released_run_is_executed_by_a_worker(self, run: ReconciliationRun) -> None:
        assert reconciliation.release(run, OPERATOR, "checked").status == Status.SIMULATED
        assert OutboxMessage.objects.get(topic="run.execute").payload == {"run": str(run.pk)}
        assert reconciliation.execute(run).status == Status.DONE
        assert Hold.objects.count() == 6

    def test_a_rejected_run_does_nothing_and_frees_the_connection(self, run: ReconciliationRun) -> None:
        assert reconciliation.reject(run, OPERATOR, "wrong day").status == Status.REJECTED
        assert reconciliation.execute(run).status == Status.REJECTED
        assert not Hold.objects.exists()
        assert AuditRecord.objects.filter(reason="run:rejected", object_id=run.pk).count() == 1
        assert reconciliation.simulate(run.connection, OPERATOR, reason="As agreed") != run

    def test_a_small_share_of_many_goes_through(self, run: ReconciliationRun, confirmed: Confirmed) -> None:
        reconciliation.reject(run, OPERATOR, "wait")
        confirmed(House(run.tenant, run.connection, ""), 24)
        assert (
            reconciliation.simulate(run.connection, OPERATOR, reason="As agreed").status == Status.SIMULATED
        )

    def test_nobody_passes_by_an_older_run(self, acme: House, unconfirmed: Unconfirmed) -> None:
        older = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        unconfirmed(acme, 6)
        reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        assert reconciliation.execute(older).status == Status.OVERTAKEN


class TestChecks:
    def reasons(self, where: House) -> dict[str, int]:
        counts: dict[str, int] = reconciliation.simulate(
            where.connection, OPERATOR, reason="As agreed"
        ).counts
        return counts

    def test_a_person_who_never_came_is_reported_only(self, acme: House) -> None:
        push(acme, user("ada@acme.example", "e1"))
        run = reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))
        assert [(i.reason, i.status) for i in run.items.all()] == [("account:never-signed-in", "reported")]

    def test_a_late_match_is_linked(self, acme: House) -> None:
        """The candidate was vetoed at first; the administrator's word for HR numbers came later."""
        number = {"employeeNumber": "4711"}
        extension = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
        other = extend(acme.tenant, "Other")
        first = push(acme, user("ada@acme.example", "e1", **{extension: number}))
        second = push(other, user("ada@else.example", "x9", **{extension: number}))
        assert second.reason == "account:link-pending"
        assert self.reasons(other) == {}, "somebody is asked already"
        other.connection.trusted_hr_number = True
        other.connection.save()
        run = reconciliation.execute(reconciliation.simulate(other.connection, OPERATOR, reason="As agreed"))
        (item,) = planned(run)
        assert (item.check_name, item.status, item.reason) == ("waiting", "applied", "account:linked")
        assert [line["change"] for line in item.inverse if line["change"] == "UnlinkAccount"] == [
            "UnlinkAccount"
        ]
        assert Account.objects.get(pk=second.account_id).identity_id == first.identity_id
        assert planned(reconciliation.simulate(other.connection, OPERATOR, reason="As agreed")) == []

    def test_a_link_that_a_person_left_out_stays_out_over_a_night_without_it(self, acme: House) -> None:
        number = {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"employeeNumber": "4711"}}
        other = extend(acme.tenant, "Other")
        push(acme, user("ada@acme.example", "e1", **number))
        second = push(other, user("ada@else.example", "x9", **number))
        nights: list[ReconciliationRun] = []
        for trusted in (True, False, True):
            other.connection.trusted_hr_number = trusted
            other.connection.save()
            run = reconciliation.simulate(other.connection, OPERATOR, reason="As agreed")
            if not nights:
                choice = Choice(reasons=["account:linked"])
                assert reconciliation.leave_out(run, choice, OPERATOR, "a namesake?") == 1
            nights.append(reconciliation.execute(run))
        (item,) = nights[-1].items.filter(status="left-out")
        assert (item.check_name, item.evidence["left_out_of"]) == ("waiting", str(nights[0].pk))
        account = Account.objects.get(pk=second.account_id)
        assert account.identity_id is None
        # Whose it is has been said: nothing is left out any more.
        linking.link(account=account, identity=Identity.objects.get(), reason="asked her", actor=OPERATOR)
        last = reconciliation.execute(reconciliation.simulate(other.connection, OPERATOR, reason="As agreed"))
        assert not last.items.filter(status="left-out").exists()

    def test_an_account_that_waits_for_nobody_is_reported(self, acme: House) -> None:
        other = extend(acme.tenant, "Other")
        push(acme, user("ada@acme.example", "e1"))
        push(other, user("ada@acme.example", "x9"))
        Finding.objects.update(status=Finding.Status.OBSOLETE)
        assert self.reasons(other) == {"account:unasked": 1}

    def test_a_held_person_loses_a_session_that_slipped_through(
        self, acme: House, session: Callable[[Identity], Session]
    ) -> None:
        outcome = push(acme, user("ada@acme.example", "e1"))
        identity = Identity.objects.get(pk=outcome.identity_id)
        people.place_hold(identity=identity, kind=HoldKind.ADMIN, reason="a story", actor=OPERATOR)
        delivery.drain()
        session(identity)
        epoch = Identity.objects.get(pk=identity.pk).session_epoch
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        (item,) = planned(run)
        assert (item.reason, item.destructive) == ("identity:session-of-held", False)
        reconciliation.execute(run)
        assert Identity.objects.get(pk=identity.pk).session_epoch == epoch + 1
        assert planned(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")) == []
        delivery.drain()
        assert not Session.objects.exists()
        assert Account.objects.get().active, "a hold of an administrator is no word of the IdP"

    def test_a_membership_of_a_deleted_account_is_removed(self, acme: House) -> None:
        gone = push(acme, user("ada@acme.example", "e1"))
        groups = submit_group(group(acme, Intent.CREATE, display_name="Staff", add=(gone.account_id,)))
        submit(pushed(acme, Intent.DELETE, account_id=gone.account_id))
        Membership.objects.create(tenant=acme.tenant, group_id=groups.account_id, account_id=gone.account_id)
        run = reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))
        (item,) = planned(run)
        assert (item.check_name, item.status) == ("ghost-memberships", "applied")
        assert item.inverse[0] | {"audit_id": 0} == {
            "change": "AddMember",
            "group_id": str(groups.account_id),
            "account_id": str(gone.account_id),
            "audit_id": 0,
        }
        assert not Membership.objects.exists()

    def test_reports_are_all_counted_and_some_kept(
        self, acme: House, confirmed: Confirmed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        confirmed(acme, 5)
        monkeypatch.setattr(runs, "REPORTS_KEPT", 2)
        monkeypatch.setattr(runs, "BATCH", 2)
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        assert (run.counts, run.items.count()) == ({"account:never-signed-in": 5}, 2)

    def test_without_a_lifecycle_source_idleness_counts(self, unconfirmed: Unconfirmed, db: None) -> None:
        where = house("initech", scim_enabled=False)
        unconfirmed(where, at=now() - timedelta(days=100))
        sign_in(where, "jit-initech-1", at=now() - timedelta(days=100))
        sign_in(where, "jit-initech-1", at=now() - timedelta(days=3))
        assert self.reasons(where) == {"account:expired": 1}

    @pytest.mark.parametrize(
        ("days", "reasons"),
        [
            pytest.param(
                13, {"account:expired": 1}, id="a roster of these days shows that somebody could confirm"
            ),
            pytest.param(15, {}, id="an older one shows nothing any more"),
        ],
    )
    def test_a_roster_is_a_lifecycle_source_for_as_long_as_a_grace(
        self, days: int, reasons: dict[str, int], unconfirmed: Unconfirmed, db: None
    ) -> None:
        """By the hub's clock, whatever the database's says."""
        with time_machine.travel(now() - timedelta(days=400), tick=False):
            where = house("initech", scim_enabled=False)
            unconfirmed(where)
            for ago in (25, days):
                roster(where, line("somebody@initech.example"), as_of=now() - timedelta(days=ago))
            found = self.reasons(where)
        assert {code: number for code, number in found.items() if code == "account:expired"} == reasons

    def test_a_simulation_costs_the_same_number_of_statements_however_many_people(
        self,
        acme: House,
        unconfirmed: Unconfirmed,
        confirmed: Confirmed,
        django_assert_max_num_queries: Callable[..., object],
    ) -> None:
        unconfirmed(acme, 40)
        confirmed(acme, 60)
        with django_assert_max_num_queries(60):  # type: ignore[attr-defined]
            reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")


DIES_AFTER_ONE_BATCH = """
import os, signal, sys
import django; django.setup()
from provisioning import reconciliation
from provisioning.models import ReconciliationRun
from provisioning.reconciliation import runs
runs.BATCH = 2
reconciliation.execute(
    ReconciliationRun.objects.get(), lambda done, total: os.kill(os.getpid(), signal.SIGKILL)
)
"""


class Killed(BaseException):
    """What a worker sees of its end."""


@pytest.mark.django_db(transaction=True)
class TestInterruption:
    def test_a_killed_execution_goes_on_where_it_stopped(
        self, acme: House, unconfirmed: Unconfirmed, confirmed: Confirmed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unconfirmed(acme, 5)
        monkeypatch.setattr(runs, "BATCH", 2)
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")

        def die(done: int, total: int) -> None:
            if done == 2:
                raise Killed

        with pytest.raises(Killed):
            reconciliation.execute(run, die)
        assert (ReconciliationRun.objects.get().status, Hold.objects.count()) == (Status.EXECUTING, 2)
        # The next request, nightly or by hand, finds it and finishes it.
        again = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        assert (again, again.status) == (run, Status.EXECUTING)
        assert reconciliation.execute(again).status == Status.DONE
        assert Hold.objects.count() == 5
        assert AuditRecord.objects.filter(reason="account:expired").count() == 5
        assert {item.status for item in planned(run)} == {"applied"}

    def test_a_killed_process_leaves_its_run_to_the_next(self, acme: House, unconfirmed: Unconfirmed) -> None:
        unconfirmed(acme, 5)
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        name = connection.settings_dict["NAME"]
        dead = subprocess.run(
            [sys.executable, "-c", DIES_AFTER_ONE_BATCH],
            cwd=settings.BASE_DIR,
            env={
                **env,
                "HUB_ENV": "test",
                "DJANGO_SETTINGS_MODULE": "identity_hub.settings",
                "DATABASE_URL": urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}").geturl(),
            },
            timeout=60,
            check=False,
        )
        assert dead.returncode == -signal.SIGKILL
        assert Hold.objects.count() == 2
        assert (
            reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))
            == run
        )
        assert Hold.objects.count() == AuditRecord.objects.filter(reason="account:expired").count() == 5
        assert {item.status for item in planned(run)} == {"applied"}

    def test_a_batch_and_its_outcomes_are_one(
        self, acme: House, unconfirmed: Unconfirmed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unconfirmed(acme, 2)
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        settle = runs._settle

        def die(*args: object) -> None:
            raise Killed

        monkeypatch.setattr(runs, "_settle", die)
        with pytest.raises(Killed):
            reconciliation.execute(run)
        assert not Hold.objects.exists()
        monkeypatch.setattr(runs, "_settle", settle)
        assert reconciliation.execute(run).status == Status.DONE
        assert {item.status for item in planned(run)} == {"applied"}

    @pytest.fixture
    def found_afterwards(self, acme: House) -> ReconciliationRun:
        """Whoever an item is lost of is found when the run looks at everything again."""
        roster(acme, line("ada@acme.example", "k1"), line("bob@acme.example", "k2"))
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        run.items.filter(evidence__line=3).delete()
        return run

    @pytest.mark.parametrize("kept", [False, True], ids=["before it has noted what is left", "and after"])
    def test_one_that_is_killed_while_it_verifies_verifies_again(
        self, found_afterwards: ReconciliationRun, monkeypatch: pytest.MonkeyPatch, kept: bool
    ) -> None:
        keep = runs.keep

        def die(items: list[dict[str, object]]) -> None:
            if kept:
                keep(items)
            if items:
                raise Killed

        with monkeypatch.context() as broken:
            broken.setattr(runs, "keep", die)
            with pytest.raises(Killed):
                reconciliation.execute(found_afterwards)
        run = ReconciliationRun.objects.get()
        assert (run.status, run.verified_at, Account.objects.count()) == (Status.EXECUTING, None, 1)
        run = reconciliation.execute(run)
        assert (run.status, run.remaining, run.items_done, run.items_total) == (Status.DONE, 0, 2, 2)
        assert Account.objects.count() == AuditRecord.objects.filter(reason="account:created").count() == 2

    def test_one_that_is_cancelled_while_it_verifies_does_no_more(
        self, found_afterwards: ReconciliationRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keep = runs.keep

        def change_mind(items: list[dict[str, object]]) -> None:
            ReconciliationRun.objects.update(cancel_requested_at=now())
            keep(items)

        monkeypatch.setattr(runs, "keep", change_mind)
        run = reconciliation.execute(found_afterwards)
        assert (run.status, run.verified_at, Account.objects.count()) == (Status.CANCELLED, None, 1)
        assert sorted(run.items.values_list("status", flat=True)) == ["applied", "planned"]

    def test_one_that_is_taken_back_while_another_is_at_work_is(
        self, acme: House, unconfirmed: Unconfirmed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runs, "BATCH", 1)
        unconfirmed(acme, 2)
        first = reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))
        roster(acme, line("ada@acme.example", "k1"), line("bob@acme.example", "k2"))
        second = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")

        def take_back(done: int, total: int) -> None:
            if done == 1:
                undo.order(first, actor=OPERATOR, reason="they are here")
                assert dict(undo.carry_out(first)) == {"item:undone": 2}

        second = reconciliation.execute(second, take_back)
        assert (second.status, second.remaining, Hold.objects.count()) == (Status.DONE, 0, 0)

    def test_a_killed_simulation_does_not_block_the_next(
        self, acme: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def die(*args: object) -> None:
            raise Killed

        with monkeypatch.context() as broken:
            broken.setattr(runs.brakes, "doubt", lambda *_: die())
            with pytest.raises(Killed):
                reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        assert run.status == Status.SIMULATED
        assert ReconciliationRun.objects.exclude(pk=run.pk).get().status == Status.FAILED

    def test_a_second_worker_is_answered_with_the_running_run(
        self, acme: House, unconfirmed: Unconfirmed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unconfirmed(acme, 3)
        monkeypatch.setattr(runs, "BATCH", 1)
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        answers: list[tuple[ReconciliationRun, str]] = []

        def second() -> None:
            try:
                mine = ReconciliationRun.objects.get(pk=run.pk)
                simulated = reconciliation.simulate(mine.connection, OPERATOR, reason="As agreed")
                answers.append((simulated, simulated.status))
                executed = reconciliation.execute(mine)
                answers.append((executed, executed.status))
            finally:
                connections.close_all()

        def meanwhile(done: int, total: int) -> None:
            if done == 1:
                with ThreadPoolExecutor(1) as pool:
                    pool.submit(second).result(timeout=30)

        assert reconciliation.execute(run, meanwhile).status == Status.DONE
        assert answers == [(run, Status.EXECUTING)] * 2
        assert AuditRecord.objects.filter(reason="account:expired").count() == 3
