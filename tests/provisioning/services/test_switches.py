"""Kill switches, protection from runs: what is stopped, for whom, and that it is on record."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.policy import Switch
from provisioning.decision.types import Intent
from provisioning.models import (
    Account,
    AuditRecord,
    AuditValue,
    Connection,
    Hold,
    Identity,
    ReconciliationRun,
)
from provisioning.selectors import reconciliation as stored
from provisioning.services import people, setup, submit, switches
from provisioning.services.invalid import Invalid
from provisioning.tasks import execute_run, reconcile

from ..cast import OPERATOR, House, asserted, push, pushed, sign_in, user

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(days=30)
Status = ReconciliationRun.Status


def stop(where: House, switch: Switch) -> None:
    switches.stop(connection=where.connection, switch=switch, reason="An incident", actor=OPERATOR)


def resume(where: House, switch: Switch) -> None:
    switches.resume(connection=where.connection, switch=switch, reason="Over", actor=OPERATOR)


def unconfirmed(where: House, number: int = 1) -> list[Identity]:
    outcomes = [sign_in(where, f"jit-{n}", at=now() - LONG_AGO) for n in range(number)]
    return [Identity.objects.get(pk=outcome.identity_id) for outcome in outcomes]


class TestSwitch:
    @pytest.mark.parametrize("switch", Switch)
    def test_it_says_since_when_by_whom_and_why(self, acme: House, switch: Switch) -> None:
        stop(acme, switch)
        row = Connection.objects.get(pk=acme.connection.pk)
        assert list(row.stopped) == [switch]
        assert row.stopped[switch] | {"since": ""} == {
            "since": "",
            "by": "command:tests",
            "why": "An incident",
        }
        resume(acme, switch)
        assert Connection.objects.get(pk=acme.connection.pk).stopped == {}
        records = AuditRecord.objects.filter(intent="switch").order_by("id")
        assert [(r.reason, r.changes) for r in records] == [
            (code, [{"change": "switch", "switch": switch}])
            for code in ("connection:stopped", "connection:resumed")
        ]
        assert AuditValue.objects.get(pk=records[0].pk).values == {"reason": "An incident"}

    def test_the_others_stay_as_they_are(self, acme: House) -> None:
        stop(acme, Switch.RUNS)
        stop(acme, Switch.JIT_CREATE)
        resume(acme, Switch.RUNS)
        assert list(Connection.objects.get(pk=acme.connection.pk).stopped) == ["jit-create"]

    @pytest.mark.parametrize(
        ("act", "reason", "field"),
        [
            pytest.param(switches.stop, " ", "reason", id="nothing is stopped without a reason"),
            pytest.param(switches.resume, "x", "switch", id="what is not stopped cannot go on"),
            pytest.param(switches.resume, "", "reason", id="nothing goes on without a reason"),
        ],
    )
    def test_it_is_refused(self, acme: House, act: Callable[..., object], reason: str, field: str) -> None:
        with pytest.raises(Invalid) as refused:
            act(connection=acme.connection, switch=Switch.RUNS, reason=reason, actor=OPERATOR)
        assert refused.value.field == field

    def test_it_is_not_stopped_twice(self, acme: House) -> None:
        stop(acme, Switch.RUNS)
        with pytest.raises(Invalid):
            stop(acme, Switch.RUNS)


class TestLogins:
    def test_no_login_makes_an_account(self, acme: House) -> None:
        known = sign_in(acme, "ada")
        stop(acme, Switch.JIT_CREATE)
        assert sign_in(acme, "bob").reason == "login:creation-stopped"
        assert sign_in(acme, "ada").accepted
        assert Account.objects.get().pk == known.account_id
        resume(acme, Switch.JIT_CREATE)
        assert sign_in(acme, "bob").reason == "login:account-created"

    def test_where_no_login_may_create_anyway_the_reason_stays(self, acme: House) -> None:
        acme.connection.jit = "off"
        acme.connection.save()
        stop(acme, Switch.JIT_CREATE)
        assert sign_in(acme, "bob").reason == "login:no-account"

    def test_nothing_of_the_assertion_is_kept(self, acme: House) -> None:
        known = push(acme, user("ada@acme.example", "e1"))
        login = asserted(acme, "sub-1", external_id="e1", email="ada@acme.example")
        before = Account.objects.get(pk=known.account_id)
        stop(acme, Switch.JIT_UPDATE)
        outcome = submit(login)
        assert (outcome.reason, outcome.identity_id) == ("login:admitted", known.identity_id)
        after = Account.objects.get(pk=known.account_id)
        assert (after.assertion, after.subject_value, after.version) == ({}, "", before.version)
        assert after.last_login_at is not None
        resume(acme, Switch.JIT_UPDATE)
        submit(login)
        assert Account.objects.get(pk=known.account_id).subject_value == "sub-1"


class TestRuns:
    def test_no_run_is_executed_or_due(self, acme: House) -> None:
        unconfirmed(acme)
        stop(acme, Switch.RUNS)
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        assert reconciliation.execute(run).status == Status.SIMULATED
        assert list(stored.due(now())) == []
        reconcile(str(acme.tenant.pk), str(acme.connection.pk))
        assert not Hold.objects.exists()
        resume(acme, Switch.RUNS)
        assert list(stored.due(now())) == [(acme.tenant.pk, acme.connection.pk)]
        assert reconciliation.execute(run).status == Status.DONE

    @pytest.mark.parametrize("how", ["the switch", "the connection is disabled"])
    def test_one_that_is_at_work_pauses_and_goes_on(
        self, acme: House, monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        unconfirmed(acme, 5)
        monkeypatch.setattr(reconciliation.runs, "BATCH", 2)
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")

        def stop_it(done: int, total: int) -> None:
            if done == 2 and how == "the switch":
                stop(acme, Switch.RUNS)
            elif done == 2:
                setup.disable(connection=acme.connection, actor=OPERATOR, reason="Sold")

        assert reconciliation.execute(run, stop_it).status == Status.EXECUTING
        assert Hold.objects.count() == 2
        with pytest.raises(Invalid, match="nothing would be done"):
            reconciliation.order(run, OPERATOR, "go on")
        assert reconciliation.execute(run).status == Status.EXECUTING
        if how == "the switch":
            resume(acme, Switch.RUNS)
        else:
            setup.activate_untested(connection=acme.connection, actor=OPERATOR, reason="Not sold")
        assert reconciliation.execute(run).status == Status.DONE
        assert Hold.objects.count() == 5

    def test_what_was_released_does_not_begin_where_the_connection_is_disabled(self, acme: House) -> None:
        unconfirmed(acme, 6)
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        reconciliation.release(run, OPERATOR, "they left")
        setup.disable(connection=acme.connection, actor=OPERATOR, reason="Sold")
        execute_run(str(run.tenant_id), str(run.pk))
        run.refresh_from_db()
        assert (run.status, Hold.objects.exists()) == (Status.SIMULATED, False)


class TestProtected:
    def test_a_run_reports_instead_of_holding(self, acme: House) -> None:
        spared, held = unconfirmed(acme, 2)
        people.keep_from_runs(identity=spared, reason="Runs the night shift", actor=OPERATOR)
        run = reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))
        items = {item.identity_id: (item.status, item.reason, item.destructive) for item in run.items.all()}
        assert items == {
            spared.pk: ("reported", "identity:spared", False),
            held.pk: ("applied", "account:expired", True),
        }
        assert [hold.identity_id for hold in Hold.objects.all()] == [held.pk]

    def test_who_is_protected_in_between_is_reported_too(self, acme: House) -> None:
        (spared,) = unconfirmed(acme)
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        people.keep_from_runs(identity=spared, reason="Runs the night shift", actor=OPERATOR)
        reconciliation.execute(run)
        assert [(item.status, item.reason) for item in run.items.all()] == [("reported", "identity:spared")]
        assert not Hold.objects.exists()

    def test_it_ends_with_a_reason_and_both_are_on_record(self, acme: House) -> None:
        (spared,) = unconfirmed(acme)
        people.keep_from_runs(identity=spared, reason="Runs the night shift", actor=OPERATOR)
        people.leave_to_runs(identity=spared, reason="Retired", actor=OPERATOR)
        reasons = AuditRecord.objects.filter(intent="protect").order_by("id")
        assert [record.reason for record in reasons] == ["identity:kept-from-runs", "identity:left-to-runs"]
        reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))
        assert Hold.objects.get().identity_id == spared.pk

    @pytest.mark.parametrize("act", [people.keep_from_runs, people.leave_to_runs])
    def test_neither_goes_without_a_reason(self, acme: House, act: Callable[..., None]) -> None:
        (spared,) = unconfirmed(acme)
        with pytest.raises(Invalid):
            act(identity=spared, reason="  ", actor=OPERATOR)

    def test_scim_and_administrators_still_may(self, acme: House) -> None:
        outcome = push(acme, user("ada@acme.example", "e1"))
        identity = Identity.objects.get(pk=outcome.identity_id)
        people.keep_from_runs(identity=identity, reason="Runs the night shift", actor=OPERATOR)
        push_off = user("ada@acme.example", "e1", active=False)
        assert submit(pushed(acme, Intent.DISABLE, push_off, account_id=outcome.account_id)).accepted
        assert Hold.objects.get().kind == "scim"
