"""A run that waits: whose numbers stop it, who lets it go on, and which part of it."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from time_machine import travel

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.policy import Switch
from provisioning.decision.types import Actor, HoldKind, Intent
from provisioning.models import (
    AuditRecord,
    AuditValue,
    Finding,
    Hold,
    Identity,
    OutboxMessage,
    ReconciliationRun,
)
from provisioning.reconciliation import Choice
from provisioning.reconciliation import runs as steps
from provisioning.selectors import roster_differences
from provisioning.services import configuration, people, runs, setup, submit, switches
from provisioning.services.invalid import Invalid

from ..cast import OPERATOR, House, extend, push, pushed, user
from .administrators import ADA, BOB
from .listings import line, roster

Status = ReconciliationRun.Status
Unconfirmed = Callable[..., list[Identity]]
Confirmed = Callable[[House, int], None]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("administrators")]


def changed(where: House, **settings: Any) -> House:
    configuration.change_connection(
        connection=where.connection, changes=settings, actor=OPERATOR, reason="As agreed"
    )
    where.connection.refresh_from_db()
    return where


def simulated(where: House) -> ReconciliationRun:
    return reconciliation.simulate(where.connection, OPERATOR, reason="As agreed")


def codes(run: ReconciliationRun) -> list[str]:
    rows = AuditRecord.objects.filter(object_id=run.pk).order_by("id")
    return list(rows.values_list("reason", flat=True))


class TestNumbers:
    @pytest.mark.parametrize(
        ("settings", "status"),
        [
            pytest.param({}, "simulated", id="three are few"),
            pytest.param({"run_few": 2}, "quarantined", id="where two are few, three of three are too many"),
            pytest.param({"run_few": 2, "run_share": 100}, "simulated", id="but not where all may be"),
            pytest.param(
                {"run_few": 1, "run_share": 100, "run_most": 2},
                "quarantined",
                id="nor are they more than most",
            ),
        ],
    )
    def test_a_connection_judges_by_its_own(
        self, acme: House, unconfirmed: Unconfirmed, settings: dict[str, int], status: str
    ) -> None:
        unconfirmed(acme, 3)
        assert simulated(changed(acme, **settings)).status == status

    @pytest.mark.parametrize(
        ("settings", "field"),
        [
            ({"run_share": 101}, "run_share"),
            ({"run_few": 501}, "run_few"),
            ({"run_few": 7, "run_most": 6}, "run_few"),
            ({"run_most": -1}, "run_most"),
            ({"burst_deactivation_minutes": 0}, "burst_deactivation_minutes"),
            ({"burst_deactivation_minutes": 1441}, "burst_deactivation_minutes"),
        ],
    )
    def test_numbers_that_mean_nothing_are_refused(
        self, acme: House, settings: dict[str, int], field: str
    ) -> None:
        with pytest.raises(Invalid) as refused:
            changed(acme, **settings)
        assert refused.value.field == field
        with pytest.raises(IntegrityError), transaction.atomic():
            type(acme.connection).objects.filter(pk=acme.connection.pk).update(**settings)

    def test_a_change_of_numbers_is_audited(self, acme: House) -> None:
        changed(acme, run_few=1)
        record = AuditRecord.objects.filter(reason="connection:changed").latest("id")
        assert record.changes == [{"change": "configuration", "fields": ["run_few"]}]
        configuration.change_tenant(tenant=acme.tenant, limits={"run_most": 9}, reason="x", actor=OPERATOR)
        record = AuditRecord.objects.filter(reason="tenant:changed").latest("id")
        assert record.changes == [{"change": "configuration", "fields": ["run_most"]}]

    def test_a_tenants_runs_of_a_day_are_judged_together(self, acme: House, unconfirmed: Unconfirmed) -> None:
        other = extend(acme.tenant, "Other")
        unconfirmed(acme, 3)
        assert reconciliation.execute(simulated(acme)).status == Status.DONE
        unconfirmed(other, 3)
        run = simulated(other)
        assert run.status == Status.QUARANTINED
        assert run.note == (
            "With the tenant's other runs 6 of 6 people would lose access: more than 5, and more than 20 %, "
            "within 24 hours."
        )
        reconciliation.reject(run, ADA, "tomorrow")
        with travel(now() + timedelta(hours=25)):
            assert simulated(other).status == Status.SIMULATED

    def test_two_runs_that_were_simulated_beside_each_other_are_not_both_executed(
        self, acme: House, unconfirmed: Unconfirmed
    ) -> None:
        other = extend(acme.tenant, "Other")
        unconfirmed(acme, 3)
        unconfirmed(other, 3)
        first, second = simulated(acme), simulated(other)
        assert (first.status, second.status) == (Status.SIMULATED, Status.SIMULATED)
        assert reconciliation.execute(first).status == Status.DONE
        assert reconciliation.execute(second).status == Status.QUARANTINED
        assert Hold.objects.count() == 3
        assert codes(second)[-1] == "run:quarantined"

    @pytest.mark.parametrize(
        ("settings", "leave", "note"),
        [
            pytest.param(
                {},
                24,
                "6 of 6 people would lose access: more than 5, and more than 20 %, in one run.",
                id="whoever went meanwhile is nobody who stays",
            ),
            pytest.param(
                {"run_few": 0, "run_share": 0, "run_most": 0},
                0,
                "6 of 30 people would lose access: more than 0 in one run.",
                id="the numbers may have been lowered",
            ),
            pytest.param(
                {"second_approver_over": 5},
                0,
                "6 people would lose access within 24 hours: more than 5, so that two administrators have to release "
                "it.",
                id="or two administrators be asked for",
            ),
        ],
    )
    def test_a_run_is_judged_again_when_it_begins(
        self, acme: House, unconfirmed: Unconfirmed, settings: dict[str, int], leave: int, note: str
    ) -> None:
        other = extend(acme.tenant, "Other")
        for n in range(60):
            push(other, user(f"b{n}@acme.example", f"b{n}"))
        unconfirmed(acme, 6)
        here = [push(acme, user(f"p{n}@acme.example", f"p{n}")) for n in range(24)]
        run = simulated(acme)
        assert (run.status, run.destructive, run.population) == (Status.SIMULATED, 6, 30)
        for one in here[:leave]:
            submit(pushed(acme, Intent.DISABLE, account_id=one.account_id, active=False))
        changed(acme, **settings)
        run = reconciliation.execute(run)
        assert (run.status, run.note) == (Status.QUARANTINED, note)
        assert not Hold.objects.filter(kind="expiry").exists()
        assert codes(run)[-1] == "run:quarantined"

    def test_what_a_person_released_is_not_asked_about_again(
        self, acme: House, unconfirmed: Unconfirmed
    ) -> None:
        unconfirmed(acme, 6)
        run = reconciliation.release(simulated(acme), ADA, "they left")
        changed(acme, run_few=0, run_share=0, run_most=0)
        assert reconciliation.execute(run).status == Status.DONE

    def test_what_a_person_released_stops_nobody_else(self, acme: House, unconfirmed: Unconfirmed) -> None:
        other = extend(acme.tenant, "Other")
        unconfirmed(acme, 6)
        unconfirmed(other, 1)
        reconciliation.execute(reconciliation.release(simulated(acme), ADA, "they left"))
        assert Hold.objects.count() == 6
        assert simulated(other).status == Status.SIMULATED

    @pytest.mark.parametrize("judged", ["connection", "tenant"])
    @pytest.mark.parametrize("gone", ["switched off", "held"])
    def test_whoever_has_no_access_is_nobody_who_stays(
        self, acme: House, unconfirmed: Unconfirmed, gone: str, judged: str
    ) -> None:
        here = unconfirmed(acme, 6)
        others = extend(acme.tenant, "Other") if judged == "tenant" else acme
        for n in range(40):
            made = push(others, user(f"left{n}@acme.example", f"left{n}", active=gone != "switched off"))
            if gone == "held":
                person = Identity.objects.get(pk=made.identity_id)
                people.place_hold(identity=person, kind=HoldKind.ADMIN, reason="left", actor=OPERATOR)
        if judged == "tenant":
            changed(acme, run_few=100)
        run = simulated(acme)
        assert (run.destructive, run.population, run.status) == (len(here), 6, Status.QUARANTINED)
        assert "6 of 6 people would lose access" in run.note

    def test_a_large_neighbour_makes_nobodys_share_smaller(
        self, acme: House, globex: House, unconfirmed: Unconfirmed, confirmed: Confirmed
    ) -> None:
        confirmed(globex, 60)
        unconfirmed(acme, 6)
        # By the connection's own numbers all may go.
        run = simulated(changed(acme, run_few=100))
        assert run.status == Status.QUARANTINED
        assert run.note.startswith("With the tenant's other runs 6 of 6 people would lose access")

    def test_whom_something_holds_already_loses_nothing(self, acme: House, unconfirmed: Unconfirmed) -> None:
        for person in unconfirmed(acme, 8):
            people.place_hold(identity=person, kind=HoldKind.SECURITY, reason="x", actor=OPERATOR)
        run = simulated(changed(acme, run_few=0, run_share=0, run_most=0))
        assert (run.status, run.destructive, run.items_total) == (Status.SIMULATED, 0, 8)
        assert reconciliation.execute(run).status == Status.DONE
        assert Hold.objects.filter(kind="expiry").count() == 8

    def test_whoever_is_let_in_again_before_the_run_was_not_counted(
        self, acme: House, unconfirmed: Unconfirmed
    ) -> None:
        (person,) = unconfirmed(acme, 1)
        people.place_hold(identity=person, kind=HoldKind.SECURITY, reason="x", actor=OPERATOR)
        run = simulated(acme)
        people.lift_hold(identity=person, kind=HoldKind.SECURITY, reason="x", actor=OPERATOR)
        item = reconciliation.execute(run).items.get()
        assert (item.status, item.reason) == ("refused", "item:destructive-now")
        assert not Hold.objects.exists()
        assert simulated(acme).destructive == 1

    def test_a_neighbours_runs_do_not_count(
        self, acme: House, globex: House, unconfirmed: Unconfirmed
    ) -> None:
        unconfirmed(acme, 3)
        unconfirmed(globex, 3)
        reconciliation.execute(simulated(acme))
        assert simulated(globex).status == Status.SIMULATED


class TestOnePlanAtATime:
    """Which of several plans of a connection can be done, and until when a release counts."""

    @pytest.fixture
    def run(self, acme: House, unconfirmed: Unconfirmed) -> ReconciliationRun:
        unconfirmed(acme, 6)
        return simulated(acme)

    @pytest.mark.parametrize("why", ["stopped", "disabled"])
    def test_nothing_is_released_while_nothing_may_run(
        self, acme: House, run: ReconciliationRun, why: str
    ) -> None:
        if why == "stopped":
            switches.stop(connection=acme.connection, switch=Switch.RUNS, reason="x", actor=OPERATOR)
        else:
            setup.disable(connection=acme.connection, reason="x", actor=OPERATOR)
        with pytest.raises(Invalid, match="runs are stopped"):
            reconciliation.release(run, ADA, "they left")
        assert (run.status, codes(run)[-1]) == (Status.QUARANTINED, "run:quarantined")

    def test_what_was_released_is_what_the_night_takes_up(self, acme: House, run: ReconciliationRun) -> None:
        reconciliation.release(run, ADA, "they left")
        assert simulated(acme) == run
        assert reconciliation.execute(run).status == Status.DONE

    @pytest.mark.parametrize(
        ("days", "status"),
        [pytest.param(6.9, Status.DONE, id="a week"), pytest.param(7.1, Status.QUARANTINED, id="no longer")],
    )
    def test_a_release_counts_for_seven_days(self, run: ReconciliationRun, days: float, status: str) -> None:
        reconciliation.release(run, ADA, "they left")
        with travel(now() + timedelta(days=days)):
            assert reconciliation.execute(run).status == status
        if status == Status.QUARANTINED:
            assert (run.released_by, run.released_at, Hold.objects.count()) == ("", None, 0)

    @pytest.mark.parametrize("happened", ["held", "demoted"])
    @pytest.mark.parametrize("second", [False, True], ids=["the first", "the second"])
    def test_a_release_counts_while_whoever_gave_it_administers(
        self, acme: House, run: ReconciliationRun, second: bool, happened: str
    ) -> None:
        """Attack: whoever was held for an account that was taken over had released while the runs were at rest."""
        if second:
            changed(acme, second_approver_over=1)
            reconciliation.release(run, BOB, "seen")
        reconciliation.release(run, ADA, "they left")
        assert run.status == Status.SIMULATED
        ada = Identity.objects.get(pk=ADA.id)
        if happened == "held":
            people.place_hold(identity=ada, kind=HoldKind.SECURITY, reason="taken over", actor=OPERATOR)
        else:
            Identity.objects.filter(pk=ada.pk).update(is_tenant_administrator=False)
        run = reconciliation.execute(run)
        assert (run.status, run.released_by, run.second_released_by) == (Status.QUARANTINED, "", "")
        assert not Hold.objects.filter(kind="expiry").exists()

    def test_nothing_is_left_out_of_a_plan_while_a_newer_one_is_made(
        self, acme: House, unconfirmed: Unconfirmed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unconfirmed(acme, 3)
        older = simulated(acme)
        choice = Choice(items=[older.items.values_list("pk", flat=True)[0]])
        forget = roster_differences.forget

        def turn() -> None:
            with pytest.raises(Invalid, match="newer run"):
                reconciliation.leave_out(older, choice, ADA, "on leave")
            forget()

        monkeypatch.setattr(roster_differences, "forget", turn)
        newer = simulated(acme)
        assert newer.items.filter(status="left-out").count() == 0
        monkeypatch.setattr(roster_differences, "forget", forget)
        choice = Choice(items=[newer.items.values_list("pk", flat=True)[0]])
        assert reconciliation.leave_out(newer, choice, ADA, "on leave") == 1

    def test_a_newer_plan_ends_the_older_one(self, acme: House, unconfirmed: Unconfirmed) -> None:
        unconfirmed(acme, 3)
        older, newer = simulated(acme), simulated(acme)
        older.refresh_from_db()
        assert (older.status, newer.status) == (Status.OVERTAKEN, Status.SIMULATED)
        assert older.note.startswith("The run of ")
        assert codes(older)[-1] == "run:overtaken"
        reconciliation.reject(newer, ADA, "none of them")
        assert reconciliation.execute(older).status == Status.OVERTAKEN
        with pytest.raises(Invalid, match="waits or is over"):
            runs.order(older, ADA, "all the same")
        assert not Hold.objects.exists()

    def test_a_plan_waits_while_another_one_is_half_done(
        self, acme: House, unconfirmed: Unconfirmed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(steps, "BATCH", 2)
        unconfirmed(acme, 3)
        half = simulated(acme)

        def stop(done: int, total: int) -> None:
            switches.stop(connection=acme.connection, switch=Switch.RUNS, reason="x", actor=OPERATOR)

        assert reconciliation.execute(half, stop).status == Status.EXECUTING
        switches.resume(connection=acme.connection, switch=Switch.RUNS, reason="x", actor=OPERATOR)
        # As one that was ordered before: nothing simulates another while this one is there.
        other = ReconciliationRun.objects.create(
            tenant=acme.tenant, connection=acme.connection, status=Status.SIMULATED, requested_by="schedule"
        )
        assert reconciliation.execute(other).status == Status.SIMULATED
        assert simulated(acme) == half
        assert (reconciliation.execute(half).status, Hold.objects.count()) == (Status.DONE, 3)

    def test_who_cancels_in_the_last_moment_of_a_simulation_is_heard(
        self, acme: House, unconfirmed: Unconfirmed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unconfirmed(acme, 6)
        forget = roster_differences.forget

        def change_mind() -> None:
            reconciliation.cancel(ReconciliationRun.objects.get(), ADA, "wrong file")
            forget()

        monkeypatch.setattr(roster_differences, "forget", change_mind)
        run = simulated(acme)
        assert (run.status, codes(run)) == (
            Status.CANCELLED,
            ["run:started", "run:cancel-ordered", "run:cancelled"],
        )

    def test_who_cancels_before_a_worker_begins_is_heard(self, acme: House, unconfirmed: Unconfirmed) -> None:
        unconfirmed(acme, 3)
        run = simulated(acme)
        assert run.status == Status.SIMULATED
        # As where the connection's lock was another worker's: it is to end when that one looks.
        ReconciliationRun.objects.filter(pk=run.pk).update(cancel_requested_at=now())
        changed(acme, run_few=0, run_share=0, run_most=0)
        run = reconciliation.execute(run)
        assert (run.status, codes(run)[-1]) == (Status.CANCELLED, "run:cancelled")


class TestTwoPeople:
    @pytest.fixture
    def run(self, acme: House, unconfirmed: Unconfirmed) -> ReconciliationRun:
        unconfirmed(acme, 6)
        return simulated(changed(acme, second_approver_over=5))

    def test_the_first_release_executes_nothing(self, run: ReconciliationRun) -> None:
        assert reconciliation.release(run, ADA, "they left").status == Status.QUARANTINED
        assert (run.needs_two, run.released_by) == (True, ADA.signature)
        assert not OutboxMessage.objects.filter(topic="run.execute").exists()
        assert reconciliation.execute(run).status == Status.QUARANTINED
        assert codes(run)[-1] == "run:half-released"

    def test_the_second_is_another_persons(self, run: ReconciliationRun) -> None:
        reconciliation.release(run, ADA, "they left")
        with pytest.raises(Invalid, match="another administrator"):
            reconciliation.release(run, ADA, "I am sure")
        assert reconciliation.release(run, BOB, "seen").status == Status.SIMULATED
        assert (run.released_by, run.second_released_by) == (ADA.signature, BOB.signature)
        assert codes(run)[-2:] == ["run:half-released", "run:released"]
        assert reconciliation.execute(run).status == Status.DONE

    @pytest.mark.parametrize(
        ("days", "happened", "sentence"),
        [
            pytest.param(6.9, "nothing", "", id="nearly seven days later"),
            pytest.param(7.1, "nothing", "It is older than seven days", id="later it has ended"),
            pytest.param(0, "held", "may not sign in or administer", id="whoever was held gives none"),
            pytest.param(0, "demoted", "may not sign in or administer", id="nor who administers no more"),
        ],
    )
    def test_the_first_waits_for_the_second(
        self, run: ReconciliationRun, days: float, happened: str, sentence: str
    ) -> None:
        reconciliation.release(run, ADA, "they left")
        ada = Identity.objects.get(pk=ADA.id)
        if happened == "held":
            people.place_hold(identity=ada, kind=HoldKind.SECURITY, reason="x", actor=OPERATOR)
        elif happened == "demoted":
            Identity.objects.filter(pk=ada.pk).update(is_tenant_administrator=False)
        with travel(now() + timedelta(days=days)):
            assert sentence in reconciliation.lapsed(run)
            assert bool(sentence) == bool(reconciliation.lapsed(run))
            reconciliation.release(run, BOB, "seen")
            assert run.status == (Status.QUARANTINED if sentence else Status.SIMULATED)
            if sentence:
                # It is the first of two again.
                assert (run.released_by, run.second_released_by) == (BOB.signature, "")
                assert codes(run)[-1] == "run:half-released"

    def test_the_database_refuses_one_person_twice(self, run: ReconciliationRun) -> None:
        reconciliation.release(run, ADA, "they left")
        rows = ReconciliationRun.objects.filter(pk=run.pk)
        with pytest.raises(IntegrityError, match="run_released_by_two_different"), transaction.atomic():
            rows.update(second_released_by=ADA.signature)
        with pytest.raises(IntegrityError, match="run_that_needs_two_has_two"), transaction.atomic():
            rows.update(status="executing")

    def test_a_command_is_nobody_in_particular(self, run: ReconciliationRun) -> None:
        with pytest.raises(Invalid, match="two administrators"):
            reconciliation.release(run, OPERATOR, "by shell")
        reconciliation.release(run, ADA, "they left")
        with pytest.raises(Invalid, match="two administrators"):
            reconciliation.release(run, OPERATOR, "by shell")
        assert ReconciliationRun.objects.get(pk=run.pk).status == Status.QUARANTINED

    def test_up_to_the_limit_one_is_enough(self, acme: House, unconfirmed: Unconfirmed) -> None:
        unconfirmed(acme, 6)
        run = simulated(changed(acme, second_approver_over=6))
        assert reconciliation.release(run, ADA, "they left").status == Status.SIMULATED

    @pytest.mark.parametrize(
        ("released", "hours", "needs_two"),
        [
            pytest.param(
                [ADA], 1, True, id="what one person took before counts, so that parts are no way around"
            ),
            pytest.param([ADA, BOB], 1, False, id="what two people released does not"),
            pytest.param([ADA], 25, False, id="nor what was taken the day before"),
        ],
    )
    def test_the_runs_of_a_day_count_together(
        self, acme: House, unconfirmed: Unconfirmed, released: list[Actor], hours: int, needs_two: bool
    ) -> None:
        unconfirmed(acme, 10)
        first = simulated(changed(acme, second_approver_over=5, run_few=0, run_share=0))
        ids = list(first.items.values_list("pk", flat=True))
        reconciliation.leave_out(first, Choice(items=ids[4 if len(released) == 1 else 6 :]), ADA, "later")
        for actor in released:
            reconciliation.release(first, actor, "they left")
        assert reconciliation.execute(first).status == Status.DONE
        with travel(now() + timedelta(hours=hours)):
            second = simulated(acme)
            reconciliation.take_in(second, Choice(destructive=True), ADA, "now")
            ids = list(second.items.filter(destructive=True).values_list("pk", flat=True))
            reconciliation.leave_out(second, Choice(items=ids[4:]), ADA, "later")
            assert reconciliation.release(second, ADA, "they left").needs_two is needs_two

    def test_more_people_wait_for_two_whatever_the_other_numbers_say(
        self, acme: House, unconfirmed: Unconfirmed
    ) -> None:
        unconfirmed(acme, 4)
        run = simulated(changed(acme, second_approver_over=3))
        assert run.status == Status.QUARANTINED
        assert run.note == (
            "4 people would lose access within 24 hours: more than 3, so that two administrators have to release it."
        )

    def test_two_runs_below_the_limit_are_not_both_executed(
        self, acme: House, unconfirmed: Unconfirmed
    ) -> None:
        unconfirmed(acme, 3)
        first = simulated(changed(acme, second_approver_over=5))
        second = simulated(acme)
        assert reconciliation.execute(first).status == Status.OVERTAKEN
        assert (reconciliation.execute(second).status, Hold.objects.count()) == (Status.DONE, 3)

    @pytest.mark.parametrize(
        ("number", "superuser", "allowed"),
        [
            pytest.param(None, False, False, id="a tenant's administrator does not take it away"),
            pytest.param(6, False, False, id="nor raises it"),
            pytest.param(4, False, True, id="but may lower it"),
            pytest.param(None, True, True, id="a superuser may take it away"),
        ],
    )
    def test_whom_the_limit_binds_does_not_loosen_it(
        self, acme: House, number: int | None, superuser: bool, allowed: bool
    ) -> None:
        changed(acme, second_approver_over=5)
        tenant = {} if superuser else {"tenant": acme.tenant, "tenant_administrator": True}
        boss = configuration.create_local_identity(
            login_name="boss",
            password="correct horse battery",
            superuser=superuser,
            actor=OPERATOR,
            reason="As agreed",
            **tenant,
        )
        actor = Actor(kind="identity", id=str(boss.pk))
        changes = {"second_approver_over": number}
        with nullcontext() if allowed else pytest.raises(Invalid, match="superuser"):
            configuration.change_connection(
                connection=acme.connection, changes=changes, actor=actor, reason="As agreed"
            )
        acme.connection.refresh_from_db()
        assert acme.connection.second_approver_over == (number if allowed else 5)

    def test_a_release_is_of_the_plan_that_was_seen(self, run: ReconciliationRun) -> None:
        reconciliation.release(run, ADA, "they left")
        item = run.items.first()
        assert reconciliation.leave_out(run, Choice(items=[item.pk]), BOB, "he is here") == 1
        assert (run.released_by, run.needs_two, run.destructive) == ("", False, 5)
        # Five are within the limit, so that one person is enough.
        assert reconciliation.release(run, BOB, "the others left").status == Status.SIMULATED

    def test_one_of_the_two_may_reject(self, run: ReconciliationRun) -> None:
        reconciliation.release(run, ADA, "they left")
        assert reconciliation.reject(run, ADA, "they did not").status == Status.REJECTED


@pytest.mark.parametrize("reason", ["", "  \n"])
@pytest.mark.parametrize(
    "act",
    [
        pytest.param(reconciliation.release, id="to release it"),
        pytest.param(reconciliation.reject, id="to reject it"),
        pytest.param(reconciliation.cancel, id="to stop it"),
        pytest.param(reconciliation.order, id="to have it executed"),
        pytest.param(
            partial(reconciliation.leave_out, choice=Choice(destructive=True)), id="to leave items out"
        ),
        pytest.param(partial(reconciliation.take_in, choice=Choice(destructive=True)), id="to take items in"),
    ],
)
def test_a_blank_is_no_reason(
    acme: House, unconfirmed: Unconfirmed, act: Callable[..., object], reason: str
) -> None:
    unconfirmed(acme, 6)
    run = simulated(acme)
    with pytest.raises(Invalid, match="in writing"):
        act(run, actor=ADA, reason=reason)
    assert codes(run) == ["run:started", "run:quarantined"]


class TestPart:
    @pytest.fixture
    def run(self, acme: House, unconfirmed: Unconfirmed) -> ReconciliationRun:
        unconfirmed(acme, 6)
        return simulated(acme)

    @pytest.mark.parametrize(
        ("choice", "left"),
        [
            pytest.param(Choice(reasons=["account:expired"]), 6, id="by their reason"),
            pytest.param(Choice(reasons=["account:linked"]), 0, id="by a reason that none has"),
            pytest.param(Choice(situations=["adoptable"]), 6, id="by their situation"),
            pytest.param(Choice(destructive=True), 6, id="those that take access away"),
            pytest.param(Choice(), 0, id="by nothing"),
        ],
    )
    def test_items_are_left_out(self, run: ReconciliationRun, choice: Choice, left: int) -> None:
        assert reconciliation.leave_out(run, choice, ADA, "not these") == left
        assert run.items.filter(status="left-out").count() == left
        assert run.destructive == 6 - left

    def test_the_rest_is_executed_and_stays_the_only_thing_that_is(
        self, acme: House, run: ReconciliationRun
    ) -> None:
        ids = list(run.items.values_list("pk", flat=True)[:4])
        assert reconciliation.leave_out(run, Choice(items=ids), ADA, "are on leave") == 4
        record = AuditRecord.objects.get(reason="run:chosen")
        assert record.changes == [{"change": "run", "counts": {"left-out": 4}}]
        assert AuditValue.objects.get(pk=record.pk).values == {"reason": "are on leave"}
        reconciliation.execute(reconciliation.release(run, ADA, "these two left"))
        assert Hold.objects.count() == 2
        assert {item.status for item in run.items.filter(pk__in=ids)} == {"left-out"}
        for _ in range(3):
            again = reconciliation.execute(simulated(acme))
            assert (again.status, again.remaining, again.destructive) == (Status.DONE, 0, 0)
            (of,) = {item.evidence["left_out_of"] for item in again.items.filter(status="left-out")}
            assert of == str(run.pk), "the run of which somebody said so"
        assert Hold.objects.count() == 2
        # A finding says it, and closes when nothing is left out any more.
        reconciliation.ask_tenant(acme.tenant.pk, now())
        finding = Finding.objects.get(kind="connection:left-out")
        assert finding.evidence == {"run": str(run.pk), "items": 4}
        again = simulated(acme)
        reconciliation.take_in(again, Choice(destructive=True), ADA, "they left")
        reconciliation.execute(again)
        reconciliation.ask_tenant(acme.tenant.pk, now())
        finding.refresh_from_db()
        assert (finding.status, Hold.objects.count()) == ("obsolete", 6)

    def test_what_was_left_out_is_asked_about_again_when_it_would_do_something_else(
        self, acme: House
    ) -> None:
        push(acme, user("ada@acme.example", "k1"), at=now() - timedelta(days=9))
        one, other = line("ada@acme.example", "k1", given_name="A"), line("new@acme.example", "k2")
        roster(acme, one, other, as_of=now() - timedelta(days=3))
        run = simulated(acme)
        assert (
            reconciliation.leave_out(run, Choice(items=run.items.values_list("pk", flat=True)), ADA, "no")
            == 2
        )
        reconciliation.execute(run)
        # A newer listing says the same of both, then something else of one.
        roster(acme, other, one, as_of=now() - timedelta(days=2))
        assert {
            item.status for item in reconciliation.execute(simulated(acme)).items.exclude(status="reported")
        } == {"left-out"}
        roster(acme, other, one | {"active": False}, as_of=now() - timedelta(days=1))
        run = reconciliation.execute(simulated(acme))
        assert [
            (item.status, item.reason) for item in run.items.exclude(status="reported").order_by("id")
        ] == [
            ("applied", "account:disabled"),
            ("left-out", "account:created"),
        ]

    def test_whom_a_person_takes_in_again_the_guard_counts(self, acme: House, run: ReconciliationRun) -> None:
        reconciliation.leave_out(run, Choice(destructive=True), ADA, "are on leave")
        reconciliation.execute(reconciliation.release(run, ADA, "nobody left"))
        again = simulated(acme)
        assert (again.status, again.destructive) == (Status.SIMULATED, 0)
        assert reconciliation.take_in(again, Choice(destructive=True), ADA, "they left") == 6
        assert (again.status, again.destructive) == (Status.QUARANTINED, 6)

    def test_what_was_left_out_comes_in_again(self, run: ReconciliationRun) -> None:
        reconciliation.leave_out(run, Choice(destructive=True), ADA, "wait")
        assert reconciliation.take_in(run, Choice(destructive=True), ADA, "go on") == 6
        assert (run.destructive, run.status) == (6, Status.QUARANTINED)

    def test_items_of_another_run_are_not_touched(
        self, acme: House, globex: House, run: ReconciliationRun, unconfirmed: Unconfirmed
    ) -> None:
        unconfirmed(globex, 1)
        theirs = simulated(globex).items.get()
        assert reconciliation.leave_out(run, Choice(items=[theirs.pk]), ADA, "x") == 0
        theirs.refresh_from_db()
        assert theirs.status == "planned"

    def test_a_run_that_does_not_wait_is_not_changed(self, run: ReconciliationRun) -> None:
        reconciliation.release(run, ADA, "they left")
        with pytest.raises(Invalid, match="waits"):
            reconciliation.leave_out(run, Choice(destructive=True), ADA, "too late")
        reconciliation.execute(run)
        with pytest.raises(Invalid, match="waits"):
            reconciliation.take_in(run, Choice(destructive=True), ADA, "too late")
