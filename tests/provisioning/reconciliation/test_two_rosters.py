"""Row 26: whom one complete roster misses keeps access; and what rosters did is taken back like anything else."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.types import Actor, Intent
from provisioning.models import (
    Account,
    AuditRecord,
    AuditValue,
    Connection,
    Hold,
    Identity,
    ReconciliationRun,
    Roster,
    Tombstone,
)
from provisioning.selectors.invariants import violations
from provisioning.services import submit, undo

from ..cast import OPERATOR, House, push, pushed, sign_in, user
from .listings import line, roster

ADA, BOB, CY = "ada@acme.example", "bob@acme.example", "cy@acme.example"
BOSS = Actor(kind="identity", id="boss")
DAY = timedelta(days=1)
WITH = (line(ADA, "k1"), line(BOB, "k2"))
WITHOUT = (line(BOB, "k2"),)

pytestmark = pytest.mark.django_db


def ago(days: float) -> datetime:
    return now() - days * DAY


def reconcile(where: House) -> ReconciliationRun:
    Connection.objects.filter(pk=where.connection.pk).update(run_few=100)
    where.connection.refresh_from_db()
    return reconciliation.execute(reconciliation.simulate(where.connection, OPERATOR, reason="As agreed"))


def undone(run: ReconciliationRun) -> dict[str, int]:
    undo.order(run, actor=BOSS, reason="a mistake")
    return dict(undo.carry_out(run))


Listing = tuple[float, tuple[dict[str, Any], ...], str]
COMPLETE, REFUSED, LOADING = Roster.Status.COMPLETE, Roster.Status.REFUSED, Roster.Status.LOADING


@pytest.mark.parametrize(
    ("listings", "arrived", "held"),
    [
        pytest.param([], 30, False, id="without a roster nobody is missed"),
        pytest.param([(1, WITHOUT, COMPLETE)], 30, False, id="one roster alone holds nobody"),
        pytest.param(
            [(2, WITH, COMPLETE), (1, WITHOUT, COMPLETE)], 30, False, id="nor one after one that has her"
        ),
        pytest.param(
            [(2, WITHOUT, COMPLETE), (1, WITH, COMPLETE)], 30, False, id="nor one before one that has her"
        ),
        pytest.param(
            [(2, WITHOUT, REFUSED), (1, WITHOUT, COMPLETE)],
            30,
            False,
            id="a refused one does not count beside it",
        ),
        pytest.param(
            [(2, WITHOUT, LOADING), (1, WITHOUT, COMPLETE)],
            30,
            False,
            id="nor one that is still being loaded",
        ),
        pytest.param(
            [(2, WITHOUT, COMPLETE), (1, WITHOUT, COMPLETE)], 1.5, False, id="nor one of before she came"
        ),
        pytest.param([(2, WITHOUT, COMPLETE), (1, WITHOUT, COMPLETE)], 30, True, id="two hold her"),
        pytest.param(
            [(1, WITHOUT, COMPLETE), (0.9, WITHOUT, COMPLETE)],
            30,
            False,
            id="but one file given twice does not",
        ),
        pytest.param(
            [(1, WITHOUT, COMPLETE), (0.9, WITHOUT, COMPLETE), (0.4, WITHOUT, COMPLETE)],
            30,
            True,
            id="the newest of one day and one of the day before do",
        ),
        pytest.param(
            [(1, WITHOUT, COMPLETE), (0.3, WITH, COMPLETE), (0.1, WITHOUT, COMPLETE)],
            30,
            False,
            id="one between the two that has her speaks for her",
        ),
        pytest.param(
            [(1, WITHOUT, COMPLETE), (0.3, WITHOUT, COMPLETE), (0.1, WITHOUT, COMPLETE)],
            30,
            True,
            id="one between them that lacks her as well does not",
        ),
        pytest.param(
            [(1, WITHOUT, COMPLETE), (0.3, WITH, REFUSED), (0.1, WITHOUT, COMPLETE)],
            30,
            True,
            id="nor does one that was refused",
        ),
        pytest.param(
            [(1, WITH, COMPLETE), (0.1, WITHOUT, COMPLETE), (0.05, WITHOUT, COMPLETE)],
            30,
            False,
            id="two of one day are one beside the day before that has her",
        ),
    ],
)
def test_only_two_complete_rosters_hold_whom_they_miss(
    acme: House, listings: list[Listing], arrived: float, held: bool
) -> None:
    push(acme, user(ADA, "k1"), at=ago(arrived))
    push(acme, user(BOB, "k2"), at=ago(arrived))
    for days, lines, status in listings:
        roster(acme, *lines, as_of=ago(days), status=status)
    reconcile(acme)
    assert Hold.objects.exists() is held
    # However often a run looks.
    reconcile(acme)
    assert Hold.objects.exists() is held


def facts() -> dict[str, Any]:
    """What every live account says, and who may sign in."""
    rows = Account.objects.filter(deleted_at__isnull=True).order_by("created_at")
    return {
        "accounts": {
            row.pk: (
                row.user_name,
                row.external_id,
                row.active,
                row.confirmed_at is not None,
                row.lifecycle_owner,
                row.resource,
                row.email_keys,
                row.identity_id,
            )
            for row in rows
        },
        "holds": set(Hold.objects.values_list("identity_id", "kind", "source_account_id")),
        "enabled": set(Identity.objects.with_state().filter(enabled=True).values_list("pk", flat=True)),
        "shown": {
            row.pk: (row.user_name, row.email, row.given_name)
            for row in Identity.objects.filter(accounts__deleted_at__isnull=True)
        },
    }


class TestUndo:
    @pytest.fixture
    def before(self, acme: House) -> dict[str, Any]:
        push(acme, user(ADA, "k1"), at=ago(30))
        push(acme, user(BOB, "k2"), at=ago(30))
        push(acme, user(CY, "k3"), at=ago(30))
        sign_in(acme, "dan", external_id="k4", at=ago(10))
        for days in (2, 1):
            roster(
                acme,
                line("ada.l@acme.example", "k1", given_name="Augusta"),
                line(BOB, "k2", active=False),
                line("dan@acme.example", "k4", given_name="Daniel"),
                line("eve@acme.example", "k5"),
                as_of=ago(days),
            )
        return facts()

    def test_everything_that_rosters_did_is_as_it_was(self, acme: House, before: dict[str, Any]) -> None:
        run = reconcile(acme)
        assert {item.reason for item in run.items.filter(status="applied")} == {
            "account:updated",
            "account:disabled",
            "account:missing",
            "account:adopted",
            "account:created",
        }
        after = facts()
        assert after["enabled"] != before["enabled"]
        assert undone(run) == {"item:undone": 5}
        assert facts() == before
        assert list(violations(tenant_id=acme.tenant.pk, at=now())) == []
        # Who was made has left a trace, and no way in.
        made = Identity.objects.get(user_name="eve@acme.example")
        assert Tombstone.objects.get().identity_id == made.pk
        assert AuditRecord.objects.filter(identity_id=made.pk).count() == 2

    def test_the_roster_that_did_it_does_not_do_it_again(self, acme: House, before: dict[str, Any]) -> None:
        undone(reconcile(acme))
        again = reconcile(acme)
        assert not again.items.filter(status="applied").exists()
        assert facts() == before

    def test_one_item_is_taken_back_without_the_others(self, acme: House, before: dict[str, Any]) -> None:
        run = reconcile(acme)
        item = run.items.get(reason="account:missing")
        undo.order(run, actor=BOSS, reason="on leave", items=[item.pk])
        undo.carry_out(run)
        assert item.identity_id in facts()["enabled"]
        assert Hold.objects.count() == 1

    def test_a_push_since_stays_and_is_named(self, acme: House, before: dict[str, Any]) -> None:
        run = reconcile(acme)
        account = Account.objects.get(external_id="k1")
        said = submit(pushed(acme, Intent.UPDATE, user("ada.m@acme.example", "k1"), account_id=account.pk))
        item = run.items.get(reason="account:updated")
        (prospect,) = undo.preview(run, [item])
        assert prospect.reason == "item:touched-since"
        assert prospect.newer is not None
        assert prospect.newer.pk == said.audit_id
        assert undone(run) == {"item:undone": 4, "item:touched-since": 1}
        assert Account.objects.get(pk=account.pk).user_name == "ada.m@acme.example"

    def test_a_name_that_was_given_away_is_not_taken_back(self, acme: House, before: dict[str, Any]) -> None:
        run = reconcile(acme)
        push(acme, user(ADA, "k9", emails=[]))
        item = run.items.get(reason="account:updated")
        undo.order(run, actor=BOSS, reason="x", items=[item.pk])
        assert dict(undo.carry_out(run)) == {"account:user-name-taken": 1}

    def test_what_was_purged_cannot_come_back(self, acme: House, before: dict[str, Any]) -> None:
        run = reconcile(acme)
        item = run.items.get(reason="account:updated")
        AuditValue.objects.filter(pk=item.audit_id).delete()
        assert undone(run) == {"item:undone": 4, "item:values-gone": 1}
