"""A run ends when a newer roster of its connection is complete, whoever waits for whom; the next one goes on."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from identity_hub.core.clock import now
from provisioning import reconciliation, tasks
from provisioning.models import (
    Account,
    AuditRecord,
    Connection,
    Hold,
    OutboxMessage,
    ReconciliationRun,
    Roster,
)
from provisioning.reconciliation import Choice, runs
from provisioning.roster import Page
from provisioning.services import rosters, undo
from provisioning.services.invalid import Invalid

from ..cast import OPERATOR, House, extend, push, sign_in, user
from ..services.test_races import while_it_is_open
from .administrators import ADA, BOB
from .listings import FIELDS, line, roster

Status = ReconciliationRun.Status
PEOPLE = 12

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("administrators")]


def ago(days: float) -> datetime:
    return now() - days * timedelta(days=1)


def name(n: int) -> str:
    return f"p{n}@acme.example"


def lines(*numbers: int) -> list[dict[str, Any]]:
    return [line(name(n), f"k{n}") for n in numbers]


class LastPage:
    """What comes after rows that are there already."""

    kind = "csv"
    fields = tuple(FIELDS)

    def pages(self, cursor: Any) -> Iterator[Page]:
        yield Page(rows=[], faults=[], cursor=None)


def complete(where: House, *numbers: int, days: float) -> Roster:
    """As it becomes complete in the house: with its last page."""
    made = roster(where, *lines(*numbers), as_of=ago(days), status=Roster.Status.LOADING)
    made = rosters.receive(roster=made, source=LastPage())
    assert made.status == "complete", made.note
    return made


def simulated(where: House) -> ReconciliationRun:
    return reconciliation.simulate(where.connection, OPERATOR, reason="As agreed")


def codes(run: ReconciliationRun) -> list[str]:
    rows = AuditRecord.objects.filter(object_id=run.pk).order_by("id")
    return list(rows.values_list("reason", flat=True))


def held() -> set[str]:
    return set(Hold.objects.values_list("identity__user_name", flat=True))


@pytest.fixture
def waiting(acme: House) -> ReconciliationRun:
    """In quarantine: two rosters lack the last six of twelve people."""
    for n in range(PEOPLE):
        push(acme, user(name(n), f"k{n}"), at=ago(9))
    for days in (5, 4):
        roster(acme, *lines(*range(6)), as_of=ago(days))
    run = simulated(acme)
    assert (run.status, run.destructive) == (Status.QUARANTINED, 6)
    return run


class TestOneThatWaits:
    def test_ends_when_the_newer_one_is_complete_and_says_which(
        self, acme: House, waiting: ReconciliationRun
    ) -> None:
        newer = complete(acme, *range(PEOPLE), days=3)
        waiting.refresh_from_db()
        assert (waiting.status, waiting.finished_at is None) == (Status.OVERTAKEN, False)
        assert waiting.note == (
            f"The roster of {newer.as_of:%Y-%m-%d %H:%M} is newer, and complete: the next run compares with it."
        )
        assert codes(waiting)[-1] == "run:overtaken"
        told = AuditRecord.objects.get(reason="run:overtaken")
        counts = {"applied": 0, "unchanged": 0, "refused": 0}
        assert told.changes == [{"change": "run", "counts": counts, "roster": str(newer.pk)}]
        # The next one is made and executed by the ordinary way, and nobody is held whom the newer one lists.
        again = reconciliation.execute(simulated(acme))
        assert (again.status, again.roster, again.remaining) == (Status.DONE, newer, 0)
        assert not held()

    def test_nor_is_one_executed_that_somebody_has_yet_to_execute(self, acme: House) -> None:
        roster(acme, *lines(0), as_of=ago(5))
        run = simulated(acme)
        complete(acme, 0, days=4)
        run.refresh_from_db()
        assert (run.status, reconciliation.execute(run).status) == (Status.OVERTAKEN, Status.OVERTAKEN)

    @pytest.mark.parametrize("where", ["a refused roster", "another connection's"])
    def test_goes_on_waiting_for_what_says_nothing(
        self, acme: House, waiting: ReconciliationRun, where: str
    ) -> None:
        if where == "a refused roster":
            shrunk = roster(acme, *lines(0), as_of=ago(3), status=Roster.Status.LOADING)
            Roster.objects.filter(pk=shrunk.pk).update(expected=9)
            assert rosters.receive(roster=shrunk, source=LastPage()).status == "refused"
        else:
            complete(extend(acme.tenant, "Other"), 0, days=3)
        waiting.refresh_from_db()
        assert waiting.status == Status.QUARANTINED
        assert simulated(acme) == waiting

    def test_the_half_of_two_releases_ends_with_it(self, acme: House, waiting: ReconciliationRun) -> None:
        Connection.objects.update(second_approver_over=5)
        reconciliation.release(waiting, ADA, "they left")
        complete(acme, *range(6), days=3)
        assert reconciliation.release(waiting, BOB, "seen").status == Status.OVERTAKEN
        assert not OutboxMessage.objects.filter(topic="run.execute").exists()
        acme.connection.refresh_from_db()
        again = simulated(acme)
        assert (again.status, again.released_by) == (Status.QUARANTINED, "")
        assert reconciliation.release(again, BOB, "seen").status == Status.QUARANTINED, "one is not enough"

    def test_what_was_released_and_not_begun_ends_as_well(
        self, acme: House, waiting: ReconciliationRun
    ) -> None:
        assert reconciliation.release(waiting, ADA, "they left").status == Status.SIMULATED
        complete(acme, *range(6), days=3)
        assert reconciliation.execute(waiting).status == Status.OVERTAKEN
        assert not held()

    def test_nobody_takes_part_of_it_any_more(self, acme: House, waiting: ReconciliationRun) -> None:
        complete(acme, *range(6), days=3)
        for act in (reconciliation.leave_out, reconciliation.take_in):
            with pytest.raises(Invalid, match="does not wait"):
                act(waiting, Choice(destructive=True), ADA, "late")
        assert reconciliation.reject(waiting, ADA, "late").status == Status.OVERTAKEN

    def test_what_a_person_left_out_of_it_stays_out(self, acme: House, waiting: ReconciliationRun) -> None:
        on_leave = waiting.items.filter(account__user_name__in=[name(10), name(11)])
        ids = list(on_leave.values_list("pk", flat=True))
        reconciliation.leave_out(waiting, Choice(items=ids), ADA, "on leave")
        complete(acme, *range(7), days=3)
        again = reconciliation.execute(simulated(acme))
        assert (again.status, again.destructive, again.remaining) == (Status.DONE, 3, 0)
        assert held() == {name(n) for n in (7, 8, 9)}
        left = again.items.filter(status="left-out")
        assert {item.evidence["left_out_of"] for item in left} == {str(waiting.pk)}
        assert left.count() == 2

    def test_what_a_person_took_in_again_stays_in(self, acme: House, waiting: ReconciliationRun) -> None:
        reconciliation.leave_out(waiting, Choice(destructive=True), ADA, "on leave")
        reconciliation.execute(reconciliation.release(waiting, ADA, "nobody left"))
        second = simulated(acme)
        reconciliation.take_in(second, Choice(destructive=True), ADA, "they left after all")
        complete(acme, *range(6), days=3)
        third = simulated(acme)
        assert (third.status, third.destructive) == (Status.QUARANTINED, 6)
        assert not third.items.filter(status="left-out").exists()


def test_one_that_was_missed_ends_when_the_next_is_asked_for(
    acme: House, waiting: ReconciliationRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the roster had become complete just before the simulation put its run into quarantine."""
    monkeypatch.setattr(
        tasks.reconcile, "apply_async", lambda args, kwargs: tasks.reconcile(*args, **(kwargs or {}))
    )
    newer = roster(acme, *lines(*range(PEOPLE)), as_of=ago(3))
    tasks.reconcile_all()
    waiting.refresh_from_db()
    assert waiting.status == Status.OVERTAKEN
    done = ReconciliationRun.objects.get(status="done")
    assert (done.roster, done.requested_by, done.remaining) == (newer, "schedule:", 0)


def test_so_does_one_that_its_worker_left_in_the_middle(acme: House, waiting: ReconciliationRun) -> None:
    ReconciliationRun.objects.update(status=Status.EXECUTING)
    newer = complete(acme, *range(PEOPLE), days=3)
    waiting.refresh_from_db()
    assert waiting.status == Status.EXECUTING, "whoever is at work looks for itself"
    assert simulated(acme).roster == newer
    waiting.refresh_from_db()
    assert waiting.status == Status.OVERTAKEN


def test_a_plan_that_was_overtaken_while_it_was_made_is_none(
    acme: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    roster(acme, *lines(0), as_of=ago(5))
    foresee = runs._foresee

    def meanwhile(*arguments: Any) -> Any:
        if not Roster.objects.filter(as_of__gt=ago(4.5)).exists():
            complete(acme, 0, 1, days=4)
        return foresee(*arguments)

    monkeypatch.setattr(runs, "_foresee", meanwhile)
    run = simulated(acme)
    assert (run.status, codes(run)[-2:]) == (Status.OVERTAKEN, ["run:simulated", "run:overtaken"])
    assert simulated(acme).items_total == 2


@pytest.mark.django_db(transaction=True)
def test_a_plan_and_a_roster_that_are_done_at_one_moment_learn_of_each_other(acme: House) -> None:
    roster(acme, *lines(0), as_of=ago(5))
    run = while_it_is_open(lambda: complete(acme, 0, 1, days=4), lambda: simulated(acme))
    assert (run.status, codes(run)[-2:]) == (Status.OVERTAKEN, ["run:simulated", "run:overtaken"])


class TestOneThatExecutes:
    @pytest.fixture
    def batches_of_two(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runs, "BATCH", 2)

    def overtaken(self, where: House, *numbers: int) -> ReconciliationRun:
        """Five people are listed, and another roster becomes complete when two of them are made."""

        def meanwhile(done: int, total: int) -> None:
            complete(where, *numbers, days=3)

        roster(where, *lines(*range(5)), as_of=ago(5))
        return reconciliation.execute(simulated(where), meanwhile)

    @pytest.mark.usefixtures("batches_of_two")
    def test_ends_after_its_batch_and_the_next_one_does_the_rest(self, acme: House) -> None:
        run = self.overtaken(acme, *range(6))
        assert (run.status, run.items_done, run.items_total) == (Status.OVERTAKEN, 2, 5)
        assert (run.verified_at, run.remaining) == (None, None)
        assert sorted(run.items.values_list("status", flat=True)) == ["applied"] * 2 + ["planned"] * 3
        told = AuditRecord.objects.get(reason="run:overtaken")
        assert told.changes[0]["counts"] == {"applied": 2, "unchanged": 0, "refused": 0}
        assert codes(run)[-1] == "run:overtaken", "neither executed nor verified"
        assert reconciliation.execute(run).status == Status.OVERTAKEN
        again = reconciliation.execute(simulated(acme))
        assert (again.status, again.items_total, again.remaining) == (Status.DONE, 4, 0)
        assert Account.objects.count() == 6

    @pytest.mark.usefixtures("batches_of_two")
    def test_what_it_did_can_be_taken_back(self, acme: House) -> None:
        run = self.overtaken(acme, *range(5))
        assert undo.order(run, actor=ADA, reason="wrong file") == 2
        assert dict(undo.carry_out(run)) == {"item:undone": 2}
        assert not Account.objects.filter(deleted_at=None).exists()

    @pytest.mark.usefixtures("batches_of_two")
    def test_holds_nobody_any_more_whom_the_newer_one_lists(
        self, acme: House, waiting: ReconciliationRun
    ) -> None:
        def meanwhile(done: int, total: int) -> None:
            complete(acme, *range(PEOPLE), days=3)

        run = reconciliation.execute(reconciliation.release(waiting, ADA, "they left"), meanwhile)
        assert (run.status, len(held())) == (Status.OVERTAKEN, 2)
        again = reconciliation.execute(simulated(acme))
        assert (again.status, again.remaining, held()) == (Status.DONE, 0, set())

    @pytest.mark.usefixtures("batches_of_two")
    def test_one_without_a_roster_ends_when_the_first_comes(self, acme: House) -> None:
        for n in range(3):
            sign_in(acme, f"k{n}", user_name=name(n), email=name(n), external_id=f"k{n}", at=ago(30))

        def meanwhile(done: int, total: int) -> None:
            complete(acme, 0, 1, 2, days=0)

        run = reconciliation.execute(simulated(acme), meanwhile)
        assert (run.status, len(held())) == (Status.OVERTAKEN, 2)
        assert reconciliation.execute(simulated(acme)).remaining == 0
        assert not held(), "the roster confirms all three"

    @pytest.mark.usefixtures("batches_of_two")
    def test_the_schedule_goes_on_with_the_newer_one_at_once(
        self, acme: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            tasks.reconcile, "apply_async", lambda args, kwargs: tasks.reconcile(*args, **(kwargs or {}))
        )
        roster(acme, *lines(*range(5)), as_of=ago(5))
        carry_out = runs._carry_out

        def meanwhile(*arguments: Any) -> None:
            carry_out(*arguments)
            if not Roster.objects.filter(as_of__gt=ago(4)).exists():
                complete(acme, *range(6), days=3)

        monkeypatch.setattr(runs, "_carry_out", meanwhile)
        tasks.reconcile_all()
        ended = ReconciliationRun.objects.order_by("started_at").values_list("status", "items_done")
        assert list(ended) == [("overtaken", 2), ("done", 4)]
