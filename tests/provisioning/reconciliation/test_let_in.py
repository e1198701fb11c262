"""Whom an administrator let in against a source's word: what the next rosters do, and when they ask again."""

from datetime import datetime, timedelta

import pytest
from time_machine import travel

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.types import HoldKind, Intent
from provisioning.models import Account, Finding, Hold, Identity, ReconciliationRun
from provisioning.services import people, remedies, submit

from ..cast import OPERATOR, House, push, pushed, user
from .listings import line, roster

pytestmark = pytest.mark.django_db

ADA = "ada@acme.example"
DAY = timedelta(days=1)
MONDAY = datetime.fromisoformat("2026-03-02T02:00:00+00:00")


@pytest.fixture(autouse=True)
def monday() -> object:
    with travel(MONDAY, tick=False) as time:
        yield time


def said(where: House, intent: Intent) -> None:
    """A push of today's."""
    active = intent is Intent.ENABLE
    account = Account.objects.get()
    submit(pushed(where, intent, user(ADA, "k1", active=active), account_id=account.pk, at=now()))


def night(where: House, day: float, *, active: bool = True, gone: bool = False) -> ReconciliationRun:
    """So many days after Monday another roster comes, and its run."""
    with travel(MONDAY + day * DAY, tick=False):
        ada = [] if gone else [line(ADA, "k1", active=active)]
        roster(where, *ada, as_of=now() - timedelta(minutes=1))
        run = reconciliation.execute(reconciliation.simulate(where.connection, OPERATOR, reason="As agreed"))
        assert (run.status, run.remaining) == ("done", 0)
        reconciliation.ask_tenant(where.tenant.pk, now())
        return run


def asked() -> list[tuple[str, str]]:
    rows = Finding.objects.filter(kind__startswith="account:").order_by("opened_at")
    return list(rows.values_list("kind", "status"))


@pytest.fixture
def closed(acme: House) -> Finding:
    """SCIM has closed Ada, and Monday's roster lists her as active."""
    push(acme, user(ADA, "k1"), at=MONDAY - 9 * DAY)
    with travel(MONDAY - 8 * DAY, tick=False):
        said(acme, Intent.DISABLE)
    night(acme, 0)
    return Finding.objects.get(kind="account:state-conflict")


def let_in(finding: Finding, day: float) -> None:
    with travel(MONDAY + day * DAY, tick=False):
        remedies.carry_out(finding=finding, name="release", reason="HR says so", actor=OPERATOR)
    assert not Hold.objects.exists()


class TestWhomScimClosed:
    def test_is_in_for_all_the_rosters_that_say_the_same(self, acme: House, closed: Finding) -> None:
        let_in(closed, 0.5)
        for day in (1, 2, 120):
            run = night(acme, day)
            assert not run.items.filter(status="applied").exists()
        assert asked() == [("account:state-conflict", "approved")]
        assert not Hold.objects.exists()

    def test_by_an_administrator_without_a_finding_is_nobody_s_question(self, acme: House) -> None:
        push(acme, user(ADA, "k1"), at=MONDAY - 9 * DAY)
        with travel(MONDAY - 8 * DAY, tick=False):
            said(acme, Intent.DISABLE)
        identity = Identity.objects.get()
        people.lift_hold(identity=identity, kind=HoldKind.SCIM, reason="HR says so", actor=OPERATOR)
        night(acme, 1)
        assert asked() == []

    def test_and_closes_again_is_a_new_contradiction(self, acme: House, closed: Finding) -> None:
        let_in(closed, 0.5)
        with travel(MONDAY + 1 * DAY, tick=False):
            said(acme, Intent.ENABLE)
            said(acme, Intent.DISABLE)
        assert Hold.objects.get().kind == "scim"
        night(acme, 2)
        assert asked() == [("account:state-conflict", "approved"), ("account:state-conflict", "open")]
        night(acme, 3)
        assert len(asked()) == 2, "and that is asked once"

    @pytest.mark.parametrize(
        ("remedy", "day", "again"),
        [
            pytest.param("settled", 1, False, id="what was dealt with is not asked the next night"),
            pytest.param("settled", 89, False, id="nor for three months"),
            pytest.param("settled", 92, True, id="but then, where it is still so"),
            pytest.param("dismiss", 400, False, id="what was dismissed never is"),
        ],
    )
    def test_stays_out_and_is_asked_about_when(
        self, acme: House, closed: Finding, remedy: str, day: int, again: bool
    ) -> None:
        remedies.carry_out(finding=closed, name=remedy, reason="they know", actor=OPERATOR)
        night(acme, day)
        assert Finding.objects.filter(status="open", kind="account:state-conflict").exists() is again
        assert Hold.objects.exists()

    @pytest.mark.parametrize("how", ["a push lets her in", "an administrator does", "a push deletes her"])
    def test_is_asked_about_no_more_when_it_has_settled_itself(
        self, acme: House, closed: Finding, how: str
    ) -> None:
        with travel(MONDAY + 0.5 * DAY, tick=False):
            if how == "an administrator does":
                people.lift_hold(
                    identity=closed.identity, kind=HoldKind.SCIM, reason="HR says so", actor=OPERATOR
                )
            else:
                said(acme, Intent.ENABLE if how == "a push lets her in" else Intent.DELETE)
            reconciliation.ask_tenant(acme.tenant.pk, now())
        closed.refresh_from_db()
        assert (closed.status, closed.decision_reason) == ("obsolete", "The case has gone.")


class TestWhomARosterClosed:
    def test_as_inactive_stays_in_while_rosters_say_the_same(self, acme: House) -> None:
        push(acme, user(ADA, "k1"), at=MONDAY - 9 * DAY)
        night(acme, 0, active=False)
        with travel(MONDAY + 0.5 * DAY, tick=False):
            people.lift_hold(
                identity=Identity.objects.get(), kind=HoldKind.SCIM, reason="on a project", actor=OPERATOR
            )
        for day in (1, 2):
            night(acme, day, active=False)
        assert (asked(), Hold.objects.exists()) == ([], False)
        # Listed as active and then as inactive is another word.
        night(acme, 3)
        night(acme, 4, active=False)
        assert Hold.objects.get().kind == "scim"

    def test_as_missing_is_held_by_the_next_roster_that_lacks_her(self, acme: House) -> None:
        """Each roster that lacks somebody speaks anew; whom none is to hold, an administrator protects from runs."""
        push(acme, user(ADA, "k1"), at=MONDAY - 9 * DAY)
        for day in (0, 1):
            night(acme, day, gone=True)
        identity = Identity.objects.get()
        with travel(MONDAY + 1.5 * DAY, tick=False):
            people.lift_hold(identity=identity, kind=HoldKind.SCIM, reason="on a project", actor=OPERATOR)
            again = reconciliation.execute(
                reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
            )
            assert not again.items.filter(status="applied").exists()
            assert not Hold.objects.exists()
        night(acme, 2, gone=True)
        assert Hold.objects.get().kind == "scim"
