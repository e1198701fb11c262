"""What a run did is taken back, item by item, unless something newer has touched it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Event, Timer
from typing import Any

import pytest
from django.db import connections, transaction
from time_machine import travel

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.types import Actor, Channel, GroupObservation, HoldKind, Intent, Outcome
from provisioning.models import (
    Account,
    AuditRecord,
    AuditValue,
    Finding,
    Hold,
    Identity,
    Membership,
    Merge,
    OutboxMessage,
    ReconciliationItem,
    ReconciliationRun,
)
from provisioning.selectors.invariants import violations
from provisioning.services import configuration, groups, merging, people, submit, undo
from provisioning.services.groups import submit_group
from provisioning.services.invalid import Invalid
from provisioning.tasks import delivery, undo_run

from ..cast import OPERATOR, House, asserted, extend, push, pushed, sign_in, user
from ..services.test_groups import group
from ..services.test_races import closing, until_somebody_waits
from .listings import line, roster

ADA = Actor(kind="identity", id="ada")
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
Unconfirmed = Callable[..., list[Identity]]

pytestmark = pytest.mark.django_db


def executed(where: House) -> ReconciliationRun:
    return reconciliation.execute(reconciliation.simulate(where.connection, OPERATOR, reason="As agreed"))


def undone(run: ReconciliationRun, *items: ReconciliationItem) -> dict[str, int]:
    chosen = [item.pk for item in items] or None
    undo.order(run, actor=ADA, reason="a mistake", items=chosen)
    return dict(undo.carry_out(run))


def enabled() -> set[Any]:
    return set(Identity.objects.with_state().filter(enabled=True).values_list("pk", flat=True))


def items_done(run: ReconciliationRun) -> list[ReconciliationItem]:
    return list(run.items.filter(status="applied"))


def merged(winner: Any, loser: Any) -> None:
    one, other = (Identity.objects.get(pk=outcome.identity_id) for outcome in (winner, loser))
    assert merging.merge(winner=one, loser=other, reason="One", actor=OPERATOR).accepted


def broken(where: House) -> list[tuple[str, str]]:
    delivery.drain()
    return [(one.law.name, one.id) for one in violations(tenant_id=where.tenant.pk, at=now())]


class TestHolds:
    def test_a_run_is_taken_back_whole(self, acme: House, unconfirmed: Unconfirmed) -> None:
        everybody = {identity.pk for identity in unconfirmed(acme, 3)}
        run = executed(acme)
        assert enabled() == set()
        assert undone(run) == {"item:undone": 3}
        assert enabled() == everybody
        assert not Hold.objects.exists()
        assert {item.status for item in run.items.all()} == {"undone"}
        # Nobody asks any more about what was taken back.
        assert set(Finding.objects.values_list("status", flat=True)) == {"obsolete"}

    def test_it_is_on_record_with_who_and_why(self, acme: House, unconfirmed: Unconfirmed) -> None:
        (identity,) = unconfirmed(acme)
        run = executed(acme)
        undone(run)
        record = AuditRecord.objects.get(reason="item:undone")
        assert (record.actor_id, record.identity_id, record.request_id) == ("ada", identity.pk, str(run.pk))
        assert {change["change"] for change in record.changes} == {"LiftHold", "WithdrawFinding"}
        assert AuditValue.objects.get(pk=record.pk).values == {"reason": "a mistake"}
        acts = AuditRecord.objects.filter(object_id=run.pk, intent="undo").order_by("id")
        assert [(act.reason, act.changes[0]["counts"]) for act in acts] == [
            ("run:undo-ordered", {"wanted": 1}),
            ("run:undone", {"item:undone": 1}),
        ]
        item = run.items.get()
        assert (item.undo_audit_id, item.undone_at is not None) == (record.pk, True)

    def test_single_items_are_taken_back(self, acme: House, unconfirmed: Unconfirmed) -> None:
        unconfirmed(acme, 3)
        run = executed(acme)
        _one, two, _three = run.items.order_by("id")
        assert undone(run, two) == {"item:undone": 1}
        assert enabled() == {two.identity_id}
        assert undone(run) == {"item:undone": 2}

    def test_an_item_is_never_taken_back_twice(self, acme: House, unconfirmed: Unconfirmed) -> None:
        unconfirmed(acme)
        run = executed(acme)
        undone(run)
        with pytest.raises(Invalid, match="Nothing"):
            undo.order(run, actor=ADA, reason="again")
        (prospect,) = undo.preview(run, list(run.items.all()))
        assert prospect.reason == "item:not-done"

    def test_the_next_run_does_not_do_it_again(self, acme: House, unconfirmed: Unconfirmed) -> None:
        unconfirmed(acme)
        undone(executed(acme))
        assert executed(acme).items.count() == 0

    def test_another_source_s_hold_stays(self, acme: House, unconfirmed: Unconfirmed) -> None:
        (identity,) = unconfirmed(acme)
        people.place_hold(identity=identity, kind=HoldKind.ADMIN, reason="x", actor=OPERATOR)
        run = executed(acme)
        undone(run)
        assert [hold.kind for hold in Hold.objects.all()] == ["admin"]

    def test_what_was_placed_for_rosters_that_lacked_somebody_outlives_a_later_item(
        self, acme: House
    ) -> None:
        """She is active and held before the item and after it: no law takes that for a hold left over."""
        long_ago = now() - timedelta(days=30)
        for name in ("ada", "bob"):
            push(acme, user(f"{name}@acme.example", name), at=long_ago)
        bob = line("bob@acme.example", "bob")
        for days in (5, 4):
            roster(acme, bob, as_of=now() - timedelta(days=days))
        executed(acme)
        held = set(Hold.objects.values_list("pk", flat=True))
        roster(acme, bob, line("ada@acme.example", "ada", active=False), as_of=now() - timedelta(days=3))
        run = executed(acme)
        assert [item.reason for item in items_done(run)] == ["account:disabled"]
        assert undone(run) == {"item:undone": 1}
        assert Account.objects.get(external_id="ada").active
        assert (len(held), set(Hold.objects.values_list("pk", flat=True))) == (1, held)
        assert broken(acme) == []

    def test_a_neighbour_is_not_touched(self, acme: House, globex: House, unconfirmed: Unconfirmed) -> None:
        unconfirmed(acme)
        unconfirmed(globex)
        run, theirs = executed(acme), executed(globex)
        with pytest.raises(Invalid, match="Nothing"):
            undo.order(run, actor=ADA, reason="x", items=[theirs.items.get().pk])
        undone(run)
        assert {hold.tenant_id for hold in Hold.objects.all()} == {globex.tenant.pk}


class TestNewer:
    """Whoever asks for the old state did not know of it."""

    @pytest.fixture
    def run(self, acme: House, unconfirmed: Unconfirmed) -> ReconciliationRun:
        unconfirmed(acme)
        return executed(acme)

    def test_a_push_is_newer(self, acme: House, run: ReconciliationRun) -> None:
        account = Account.objects.get()
        pushed_ = push(acme, user(account.user_name, account.asserted_key))
        assert pushed_.reason == "account:adopted"
        (prospect,) = undo.preview(run, list(run.items.all()))
        assert (prospect.reason, prospect.newer and prospect.newer.pk) == (
            "item:touched-since",
            pushed_.audit_id,
        )
        assert undone(run) == {"item:touched-since": 1}
        item = run.items.get()
        assert (item.status, item.undo_refusal, item.undo_newer) == (
            "applied",
            "item:touched-since",
            pushed_.audit_id,
        )
        assert AuditRecord.objects.get(reason="run:undone").changes[0]["counts"] == {"item:touched-since": 1}

    def test_an_administrator_s_act_is_newer(self, run: ReconciliationRun) -> None:
        identity = Identity.objects.get()
        people.lift_hold(identity=identity, kind=HoldKind.EXPIRY, reason="known", actor=OPERATOR)
        assert undone(run) == {"item:touched-since": 1}

    def test_so_is_their_protection_from_runs(self, acme: House) -> None:
        roster(acme, line("nora@acme.example", "e7"))
        run = executed(acme)
        (item,) = items_done(run)
        nora = Identity.objects.get(accounts=item.account_id)
        people.keep_from_runs(identity=nora, reason="known", actor=OPERATOR)
        (prospect,) = undo.preview(run, [item])
        assert prospect.newer is not None
        assert (prospect.reason, prospect.newer.identity_id) == ("item:touched-since", nora.pk)
        assert undone(run) == {"item:touched-since": 1}
        assert Account.objects.get(pk=item.account_id).deleted_at is None

    def test_a_refused_login_is_not(self, acme: House, run: ReconciliationRun) -> None:
        name = Account.objects.get().subject_value
        assert sign_in(acme, name).reason == "login:identity-held"
        assert undone(run) == {"item:undone": 1}

    @pytest.mark.parametrize(
        ("made", "departments", "reason"),
        [
            (False, ["Sales"], "item:undone"),
            (False, ["Sales", "Legal"], "item:undone"),
            (True, ["Sales"], "item:touched-since"),
        ],
        ids=[
            "one that binds a subject is not",
            "nor is one that brings another value",
            "by an account that the run made it is",
        ],
    )
    def test_a_login(self, acme: House, made: bool, departments: list[str], reason: str) -> None:
        if not made:
            push(acme, user("nora@acme.example", "e7"), at=now() - timedelta(days=3))
        roster(acme, line("nora@acme.example", "e7", given_name="Nora"))
        run = executed(acme)
        (item,) = items_done(run)
        for department in departments:
            said = replace(
                asserted(acme, "n-7", user_name="nora@acme.example", external_id="e7"),
                assertion={"department": department},
            )
            assert submit(said).accepted
        (prospect,) = undo.preview(run, [item])
        assert prospect.reason == reason
        assert undone(run, item) == {reason: 1}
        account = Account.objects.get(external_id="e7")
        assert account.deleted_at is None
        assert account.resource["name"]["givenName"] == ("Nora" if made else "Ada")
        assert (account.subject_value, account.assertion["department"]) == ("n-7", departments[-1])

    def test_so_is_a_push_that_says_again_what_the_run_wrote(self, acme: House) -> None:
        """It changes nothing, and no audit row tells of it."""
        nora = push(acme, user("nora@acme.example", "e7"), at=now() - timedelta(days=3)).account_id
        roster(acme, line("nora@acme.example", "e7", given_name="Nora"), as_of=now() - timedelta(days=1))
        run = executed(acme)
        with travel(now() + timedelta(hours=3)):
            document = user("nora@acme.example", "e7", name={"givenName": "Nora", "familyName": "Example"})
            said = submit(pushed(acme, Intent.UPDATE, document, account_id=nora))
            assert (said.reason, said.audit_id) == ("account:unchanged", None)
            (prospect,) = undo.preview(run, items_done(run))
            assert (prospect.reason, prospect.newer) == ("item:touched-since", None)
            assert undone(run) == {"item:touched-since": 1}
        assert Account.objects.get(pk=nora).resource["name"]["givenName"] == "Nora"

    def test_where_the_run_wrote_nothing_of_an_account_it_is_not(self, acme: House) -> None:
        """A push that says nothing of `active` lifts no hold of rosters; the undo does."""
        long_ago = now() - timedelta(days=3)
        nora = push(acme, user("nora@acme.example", "e7"), at=long_ago).account_id
        push(acme, user("otto@acme.example", "e8"), at=long_ago)
        for days in (2, 1):
            roster(acme, line("otto@acme.example", "e8"), as_of=now() - timedelta(days=days))
        run = executed(acme)
        with travel(now() + timedelta(hours=3)):
            said = pushed(acme, Intent.UPDATE, user("nora@acme.example", "e7"), account_id=nora, active=None)
            assert submit(said).reason == "account:unchanged"
            assert undone(run) == {"item:undone": 1}
        assert not Hold.objects.exists()

    def test_nor_are_ended_sessions(self, run: ReconciliationRun) -> None:
        people.end_sessions(identity=Identity.objects.get(), reason="x", actor=OPERATOR)
        assert undone(run) == {"item:undone": 1}

    def test_nor_is_what_was_taken_back_itself(self, acme: House, run: ReconciliationRun) -> None:
        """A later run's item goes first, then the earlier run's is free."""
        account = Account.objects.get()
        Finding.objects.all().delete()
        Hold.objects.all().delete()
        later = executed(acme)
        assert later.items.get().status == "applied"
        assert undone(run) == {"item:touched-since": 1}
        assert undone(later) == {"item:undone": 1}
        assert [p.reason for p in undo.preview(run, list(run.items.all()))] == ["item:nothing-left"]
        assert Account.objects.get().pk == account.pk

    def test_after_thirty_days_it_stays(self, run: ReconciliationRun) -> None:
        with travel(now() + timedelta(days=29, hours=23)):
            (prospect,) = undo.preview(run, list(run.items.all()))
            assert prospect.possible
        with travel(now() + timedelta(days=30, minutes=1)):
            assert undone(run) == {"item:too-old": 1}
        assert Hold.objects.exists()


CORE = "urn:ietf:params:scim:schemas:core:2.0:User"


class TestSchemas:
    """A document names its extensions as it did before."""

    @pytest.mark.parametrize(
        ("was", "says"),
        [
            pytest.param(
                {ENTERPRISE: {"department": "Sales"}}, "", id="one that the run emptied is named again"
            ),
            pytest.param({}, "Sales", id="one that the run brought is named no more"),
            pytest.param({ENTERPRISE: {"department": "Sales"}}, "Legal", id="one that it changed goes on"),
        ],
    )
    def test_they_come_back_with_the_attributes(self, acme: House, was: dict[str, Any], says: str) -> None:
        schemas = [CORE, ENTERPRISE] if was else [CORE]
        document = user("ada@acme.example", "e1", schemas=schemas, **was)
        came = push(acme, document, at=now() - timedelta(days=3))
        before = Account.objects.get(pk=came.account_id).resource
        fields = ["external_id", "user_name", "active", "department"]
        roster(acme, line("ada@acme.example", "e1", department=says), fields=fields)
        run = executed(acme)
        assert Account.objects.get(pk=came.account_id).resource != before
        assert undone(run) == {"item:undone": 1}
        assert Account.objects.get(pk=came.account_id).resource == before
        assert broken(acme) == []


class TestMerged:
    """Whose hold and whose account it is may be another one's by now: nothing is put back on who ended."""

    @pytest.fixture
    def pair(self, acme: House) -> tuple[Any, Any]:
        """One person twice: (whom the rosters list, the other one)."""
        long_ago = now() - timedelta(days=3)
        listed = push(acme, user("ada@acme.example", "e1"), at=long_ago)
        okta = extend(acme.tenant, "Okta")
        return listed, push(okta, user("adal@okta.example", "o1"), at=long_ago)

    @pytest.mark.parametrize("taken_back", [False, True], ids=["and stays so", "and is two again"])
    @pytest.mark.parametrize("listed_wins", [False, True], ids=["ends in the other", "the other ends in it"])
    @pytest.mark.parametrize("did", ["held", "lifted"])
    def test_a_merge_is_newer(
        self, acme: House, pair: tuple[Any, Any], did: str, listed_wins: bool, taken_back: bool
    ) -> None:
        roster(acme, line("ada@acme.example", "e1", active=False), as_of=now() - timedelta(days=2))
        run = executed(acme)
        if did == "lifted":
            roster(acme, line("ada@acme.example", "e1"), as_of=now() - timedelta(days=1))
            run = executed(acme)
        done = items_done(run)
        assert [item.reason for item in done] == [f"account:{'dis' if did == 'held' else 'en'}abled"]
        winner, loser = pair if listed_wins else reversed(pair)
        merged(winner, loser)
        if taken_back:
            merging.unmerge(merge=Merge.objects.get(), reason="Two", actor=OPERATOR)
        before = enabled()
        (prospect,) = undo.preview(run, done)
        assert prospect.newer is not None
        assert (prospect.reason, prospect.newer.reason) == (
            "item:touched-since",
            "identity:merged" if listed_wins else "identity:merged-into",
        )
        assert undone(run) == {"item:touched-since": 1}
        assert enabled() == before
        assert broken(acme) == []

    def test_a_merge_of_who_was_only_a_suspect_is_newer(self, acme: House) -> None:
        """Row 13b: a waiting account held two; a roster that says it is active lifts both, and one ends."""
        long_ago = now() - timedelta(days=9)
        one = push(acme, user("ada@acme.example", "e1"), at=long_ago)
        other = sign_in(acme, "p-1", user_name="adab", email="ada.b@acme.example")
        addresses = [{"value": f"{name}@acme.example", "type": "work"} for name in ("ada", "ada.b")]
        waits = push(acme, user("adas", "e9", emails=addresses), at=long_ago)
        lines = [line("ada@acme.example", "e1"), line("adas", "e9", active=False)]
        submit(pushed(acme, Intent.DISABLE, account_id=waits.account_id, active=False, at=long_ago))
        Account.objects.filter(pk=waits.account_id).update(lifecycle_owner="roster")
        assert Hold.objects.count() == 2
        roster(acme, lines[0], line("adas", "e9"))
        run = executed(acme)
        (done,) = (item for item in items_done(run) if item.account_id == waits.account_id)
        assert {entry["change"] for entry in done.inverse} >= {"PlaceHold"}
        merged(one, other)
        (prospect,) = undo.preview(run, [done])
        assert prospect.newer is not None
        assert (prospect.reason, prospect.newer.object_id) == ("item:touched-since", Merge.objects.get().pk)
        assert undone(run, done) == {"item:touched-since": 1}
        assert broken(acme) == []


class TestOrder:
    @pytest.mark.parametrize("reason", ["", "  "])
    def test_it_needs_a_reason(self, acme: House, unconfirmed: Unconfirmed, reason: str) -> None:
        unconfirmed(acme)
        with pytest.raises(Invalid) as refused:
            undo.order(executed(acme), actor=ADA, reason=reason)
        assert refused.value.field == "reason"

    def test_a_run_that_is_at_work_is_not_taken_back(self, acme: House, unconfirmed: Unconfirmed) -> None:
        unconfirmed(acme)
        run = executed(acme)
        ReconciliationRun.objects.update(status="executing")
        with pytest.raises(Invalid, match="at work"):
            undo.order(run, actor=ADA, reason="x")

    def test_one_order_at_a_time(self, acme: House, unconfirmed: Unconfirmed) -> None:
        unconfirmed(acme, 2)
        run = executed(acme)
        undo.order(run, actor=ADA, reason="x")
        with pytest.raises(Invalid, match="Another undo"):
            undo.order(run, actor=OPERATOR, reason="y")

    def test_a_worker_takes_it_from_the_outbox_and_goes_on_where_one_was_killed(
        self, acme: House, unconfirmed: Unconfirmed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unconfirmed(acme, 5)
        run = executed(acme)
        monkeypatch.setattr(undo, "BATCH", 2)
        undo.order(run, actor=ADA, reason="x")
        assert OutboxMessage.objects.get(topic="run.undo").payload == {"run": str(run.pk)}

        class Killed(BaseException): ...

        def die(done: int, total: int) -> None:
            if done == 4:
                raise Killed

        with pytest.raises(Killed):
            undo.carry_out(run, die)
        assert Hold.objects.count() == 1
        undo_run(str(run.tenant_id), str(run.pk))
        undo_run(str(run.tenant_id), str(run.pk))
        assert not Hold.objects.exists()
        assert AuditRecord.objects.filter(reason="item:undone").count() == 5
        assert AuditRecord.objects.filter(reason="run:undone").count() == 1

    def test_it_takes_access_from_no_more_than_one_person_may(self, acme: House) -> None:
        """Attack: whoever must not take access from many alone lets a run bring them in, and takes that back."""
        roster(
            acme, *(line(f"p{n}@acme.example", f"k{n}") for n in range(4)), as_of=now() - timedelta(days=1)
        )
        run = executed(acme)
        configuration.change_connection(
            connection=acme.connection,
            changes={"second_approver_over": 2},
            actor=OPERATOR,
            reason="As agreed",
        )
        first, second, third, _ = items_done(run)
        with pytest.raises(Invalid, match="4 people would lose access"):
            undone(run)
        assert not undo.is_ordered(run)
        assert undone(run, first) == undone(run, second) == {"item:undone": 1}
        with pytest.raises(Invalid, match="3 people would lose access"):
            undone(run, third)
        with travel(now() + timedelta(hours=25)):
            assert undone(run, third) == {"item:undone": 1}

    def test_giving_access_back_is_never_too_much(self, acme: House, unconfirmed: Unconfirmed) -> None:
        everybody = {identity.pk for identity in unconfirmed(acme, 3)}
        run = executed(acme)
        configuration.change_connection(
            connection=acme.connection,
            changes={"second_approver_over": 0},
            actor=OPERATOR,
            reason="As agreed",
        )
        assert undone(run) == {"item:undone": 3}
        assert enabled() == everybody

    def test_a_preview_writes_nothing(self, acme: House, unconfirmed: Unconfirmed) -> None:
        unconfirmed(acme)
        run = executed(acme)
        before = AuditRecord.objects.count()
        (prospect,) = undo.preview(run, list(run.items.all()))
        assert [change["change"] for change in prospect.changes] == ["WithdrawFinding", "LiftHold"]
        assert (AuditRecord.objects.count(), Hold.objects.count()) == (before, 1)


class TestLinks:
    @pytest.fixture
    def late(self, acme: House) -> tuple[House, Any, Any]:
        """Two connections, one person, and a link that a run made."""
        number = {ENTERPRISE: {"employeeNumber": "4711"}}
        other = extend(acme.tenant, "Other")
        first = push(acme, user("ada@acme.example", "e1", **number))
        second = push(other, user("ada@else.example", "x9", **number))
        configuration.change_connection(
            connection=other.connection,
            changes={"trusted_hr_number": True},
            actor=OPERATOR,
            reason="As agreed",
        )
        other.connection.refresh_from_db()
        return other, first, second

    def test_a_link_is_taken_back_and_not_made_again(self, late: tuple[House, Any, Any]) -> None:
        other, first, second = late
        run = executed(other)
        assert Account.objects.get(pk=second.account_id).identity_id == first.identity_id
        assert undone(run) == {"item:undone": 1}
        assert Account.objects.get(pk=second.account_id).identity_id is None
        assert first.identity_id in enabled()
        again = executed(other)
        assert Account.objects.get(pk=second.account_id).identity_id is None
        assert not again.items.filter(status="applied").exists()

    def test_what_was_said_of_the_account_since_stays(self, late: tuple[House, Any, Any]) -> None:
        other, _, second = late
        run = executed(other)
        submit(
            replace(
                pushed(other, Intent.DISABLE, user("ada@else.example", "x9", active=False)),
                account_id=second.account_id,
            )
        )
        assert undone(run) == {"item:touched-since": 1}


class TestGroups:
    def test_a_membership_of_a_deleted_account_does_not_come_back(self, acme: House) -> None:
        gone = push(acme, user("ada@acme.example", "e1"))
        staff = submit_group(group(acme, Intent.CREATE, display_name="Staff", add=(gone.account_id,)))
        submit(pushed(acme, Intent.DELETE, account_id=gone.account_id))
        Membership.objects.create(tenant=acme.tenant, group_id=staff.account_id, account_id=gone.account_id)
        run = executed(acme)
        assert undone(run) == {"group:member-unknown": 1}
        assert not Membership.objects.exists()

    @pytest.mark.parametrize(
        ("then", "reason"),
        [
            (["joined"], "item:touched-since"),
            (["joined", "left"], "item:undone"),
            (["another joined"], "item:undone"),
            ([], "item:undone"),
        ],
        ids=[
            "a group that it was put into since keeps it",
            "one that it has left again does not",
            "one that somebody else is in does not",
            "in no group it is taken back",
        ],
    )
    def test_an_account_that_a_run_made(self, acme: House, then: list[str], reason: str) -> None:
        long_ago = now() - timedelta(days=3)
        known = [push(acme, user(f"p{n}@acme.example", f"k{n}"), at=long_ago) for n in range(3)]
        staff = submit_group(group(acme, Intent.CREATE, display_name="Staff"))
        roster(
            acme,
            *[line(f"p{n}@acme.example", f"k{n}") for n in range(3)],
            line("new@acme.example", "kn"),
        )
        run = executed(acme)
        (made,) = items_done(run)
        outcomes = []
        for step in then:
            whom = known[0].account_id if step.startswith("another") else made.account_id
            said = {"remove" if step == "left" else "add": (whom,)}
            outcomes.append(submit_group(group(acme, Intent.UPDATE, group_id=staff.account_id, **said)))
        assert all(outcome.accepted for outcome in outcomes)
        (prospect,) = undo.preview(run, [made])
        newer = outcomes[0].audit_id if reason == "item:touched-since" else None
        assert (prospect.reason, prospect.newer and prospect.newer.pk) == (reason, newer)
        members = set(Membership.objects.values_list("account_id", flat=True))
        assert undone(run) == {reason: 1}
        assert set(Membership.objects.values_list("account_id", flat=True)) == members
        assert (Account.objects.get(pk=made.account_id).deleted_at is None) is (newer is not None)

    def test_one_that_a_great_group_took_in_is_kept_though_no_record_names_it(self, acme: House) -> None:
        push(acme, user("ada@acme.example", "e1"), at=now() - timedelta(days=3))
        roster(acme, line("ada@acme.example", "e1"), line("new@acme.example", "kn"))
        run = executed(acme)
        (made,) = items_done(run)
        many = [push(acme, user(f"p{n}@acme.example", f"k{n}")).account_id for n in range(100)]
        submit_group(group(acme, Intent.CREATE, display_name="Staff", add=(*many, made.account_id)))
        (prospect,) = undo.preview(run, [made])
        assert (prospect.reason, prospect.newer) == ("item:touched-since", None)
        assert undone(run) == {"item:touched-since": 1}


class TestSessions:
    def test_they_cannot_be_brought_back(self, acme: House, session: Callable[[Identity], object]) -> None:
        outcome = push(acme, user("ada@acme.example", "e1"))
        identity = Identity.objects.get(pk=outcome.identity_id)
        people.place_hold(identity=identity, kind=HoldKind.ADMIN, reason="a story", actor=OPERATOR)
        OutboxMessage.objects.all().delete()
        session(identity)
        run = executed(acme)
        assert run.items.get(status="applied").reason == "identity:session-of-held"
        assert undone(run) == {"item:nothing-left": 1}


@pytest.mark.django_db(transaction=True)
class TestRace:
    def test_a_push_that_comes_in_between_wins(
        self, acme: House, unconfirmed: Unconfirmed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It holds the account when the undo asks what is newer, and commits while the undo waits for it."""
        unconfirmed(acme)
        run = executed(acme)
        account = Account.objects.get()
        undo.order(run, actor=ADA, reason="x")
        locked, commit = Event(), Event()

        def push_slowly() -> None:
            try:
                with transaction.atomic():
                    assert push(acme, user(account.user_name, account.asserted_key)).accepted
                    locked.set()
                    assert commit.wait(20)
            finally:
                connections.close_all()

        lock = undo._lock

        def lock_late(*arguments: Any) -> None:
            # Without the lock the undo would have looked by then; with it, it waits however long this is.
            Timer(0.3, commit.set).start()
            lock(*arguments)

        monkeypatch.setattr(undo, "_lock", lock_late)
        with ThreadPoolExecutor(1) as pool:
            pushed_ = pool.submit(push_slowly)
            assert locked.wait(20)
            assert dict(undo.carry_out(run)) == {"item:touched-since": 1}
            pushed_.result(20)
        assert Account.objects.get().confirmed_at is not None


@pytest.mark.django_db(transaction=True)
class TestRaceForAMembership:
    """A run made somebody, and a push takes her into a group at the moment of the undo: one learns of the other."""

    @pytest.fixture
    def gone(self, acme: House) -> Outcome:
        return push(acme, user("gone@acme.example", "e2"), at=now() - timedelta(days=3))

    @pytest.fixture
    def staff(self, acme: House, gone: Outcome) -> Any:
        push(acme, user("ada@acme.example", "e1"), at=now() - timedelta(days=3))
        return submit_group(group(acme, Intent.CREATE, display_name="Staff")).account_id

    @pytest.fixture
    def run(self, acme: House, staff: Any) -> ReconciliationRun:
        roster(acme, line("ada@acme.example", "e1"), line("new@acme.example", "kn"))
        run = executed(acme)
        undo.order(run, actor=ADA, reason="a mistake")
        return run

    @pytest.fixture
    def join(self, acme: House, staff: Any, run: ReconciliationRun) -> Callable[[], Outcome]:
        made = run.items.get(reason="account:created").account_id
        return lambda: submit_group(group(acme, Intent.UPDATE, group_id=staff, add=(made,)))

    def test_whom_a_push_is_taking_in_is_kept(
        self, run: ReconciliationRun, join: Callable[[], Outcome]
    ) -> None:
        with ThreadPoolExecutor(1) as pool:
            with transaction.atomic():
                assert join().accepted
                undoing = pool.submit(closing(lambda: dict(undo.carry_out(run))))
                until_somebody_waits()
            assert undoing.result(30) == {"item:touched-since": 1}
        assert Membership.objects.get().account.deleted_at is None

    def test_a_push_that_comes_after_the_last_look_is_refused(
        self, run: ReconciliationRun, join: Callable[[], Outcome], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        judged, pushes = undo._judged, []

        def judged_then_pushed(*arguments: Any) -> Any:
            answer = list(judged(*arguments))
            pushes.append(pool.submit(closing(join)))
            until_somebody_waits()
            return answer

        monkeypatch.setattr(undo, "_judged", judged_then_pushed)
        with ThreadPoolExecutor(1) as pool:
            assert dict(undo.carry_out(run)) == {"item:undone": 1}
            assert pushes[0].result(30).reason == "group:member-unknown"
        assert not Membership.objects.exists()
        assert not Account.objects.filter(external_id="kn", deleted_at=None).exists()

    def test_neither_waits_for_the_other_in_a_circle(
        self,
        acme: House,
        gone: Outcome,
        staff: Any,
        run: ReconciliationRun,
        join: Callable[[], Outcome],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The undo gives that group a member back, too; the push holds its member, and has not come to the group."""
        item = run.items.get(reason="account:created")
        ghost = {"change": "AddMember", "group_id": str(staff), "account_id": str(gone.account_id)}
        ReconciliationItem.objects.create(
            tenant=acme.tenant,
            run=run,
            check_name="ghost-memberships",
            account_id=gone.account_id,
            status="applied",
            reason="group:updated",
            inverse=[ghost],
            decided_at=item.decided_at,
            audit_id=item.audit_id,
            undo_wanted=True,
        )
        locked, lock, held, begun = groups._locked, undo._lock, Event(), []

        def locked_when_the_undo_waits(observation: GroupObservation) -> Any:
            if observation.channel is Channel.SCIM:
                begun.append("push")
                held.set()
                until_somebody_waits()
            return locked(observation)

        def lock_told(tenant_id: Any, wanted: Any) -> None:
            begun.append(f"undo of {len(wanted)}")
            lock(tenant_id, wanted)

        monkeypatch.setattr(groups, "_locked", locked_when_the_undo_waits)
        monkeypatch.setattr(undo, "_lock", lock_told)
        with ThreadPoolExecutor(1) as pool:
            pushing = pool.submit(closing(join))
            assert held.wait(30)
            assert dict(undo.carry_out(run)) == {"item:undone": 1, "item:touched-since": 1}
            assert pushing.result(30).accepted
        # Nobody was a deadlock's victim, and began again.
        assert begun == ["push", "undo of 2"]
        assert Membership.objects.count() == 2
