"""A connection of which no run finishes any more is asked about, and not when one has."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from time_machine import Traveller, travel

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.policy import Switch
from provisioning.models import AuditRecord, Connection, Finding, OutboxMessage, ReconciliationRun
from provisioning.services import overdue, setup, switches
from provisioning.tasks.overdue import warn_of_overdue_runs

from ..cast import OPERATOR, House, sign_in

MONDAY = datetime.fromisoformat("2026-03-02T02:17:00+00:00")

pytestmark = pytest.mark.django_db


@pytest.fixture
def time() -> Iterator[Traveller]:
    with travel(MONDAY, tick=False) as coordinates:
        yield coordinates


@pytest.fixture
def watched(time: Traveller, acme: House) -> House:
    """A connection whose run has just finished."""
    run_it(acme)
    return acme


def run_it(where: House) -> str:
    run = reconciliation.execute(reconciliation.simulate(where.connection, OPERATOR, reason="As agreed"))
    return str(run.status)


def asked(hours: float) -> list[str]:
    with travel(MONDAY + timedelta(hours=hours), tick=False):
        warn_of_overdue_runs()
    rows = Finding.objects.filter(kind="connection:run-overdue").order_by("opened_at")
    return list(rows.values_list("status", flat=True))


def test_two_periods_are_waited_for(watched: House) -> None:
    assert asked(48) == []
    assert asked(49) == ["open"]
    (finding,) = Finding.objects.all()
    assert (finding.severity, finding.connection_id) == ("high", watched.connection.pk)
    assert finding.evidence == {
        "last_finished_at": MONDAY.isoformat(),
        "last_status": "done",
        "hours": 48,
    }
    assert OutboxMessage.objects.filter(topic="finding.opened").count() == 1


def test_it_is_asked_once_and_closes_itself_when_a_run_has_finished(watched: House) -> None:
    assert asked(49) == asked(60) == ["open"]
    with travel(MONDAY + timedelta(hours=61), tick=False):
        assert run_it(watched) == "done"
    assert asked(62) == ["obsolete"]
    assert asked(61 + 49) == ["obsolete", "open"]
    told = AuditRecord.objects.filter(reason__startswith="finding:", actor_kind="schedule").order_by("pk")
    assert list(told.values_list("reason", flat=True)) == ["finding:opened", "finding:gone", "finding:opened"]


def test_a_run_that_waits_for_a_person_has_not_finished(watched: House) -> None:
    for n in range(6):
        sign_in(watched, f"jit-{n}", at=MONDAY - timedelta(days=30))
    with travel(MONDAY + timedelta(hours=24), tick=False):
        assert run_it(watched) == "quarantined"
    assert asked(49) == ["open"]
    assert Finding.objects.get(kind="connection:run-overdue").evidence["last_status"] == "quarantined"


def test_a_run_that_a_newer_roster_overtook_has_not_finished_either(watched: House) -> None:
    ReconciliationRun.objects.create(
        tenant=watched.tenant,
        connection=watched.connection,
        requested_by="schedule:",
        status=ReconciliationRun.Status.OVERTAKEN,
        started_at=MONDAY + timedelta(hours=40),
        finished_at=MONDAY + timedelta(hours=41),
    )
    assert asked(49) == ["open"]
    assert Finding.objects.get(kind="connection:run-overdue").evidence["last_status"] == "overtaken"
    with travel(MONDAY + timedelta(hours=50), tick=False):
        assert run_it(watched) == "done"
    assert asked(51) == ["obsolete"]


@pytest.mark.parametrize(
    "status", [Connection.Status.DRAFT, Connection.Status.DISABLED, Connection.Status.FROZEN]
)
def test_where_none_is_made_none_is_missed(watched: House, status: str) -> None:
    Connection.objects.update(status=status)
    assert asked(100) == []


def test_one_that_never_finished_a_run_is_asked_about_too(time: Traveller, acme: House) -> None:
    Connection.objects.update(created_at=MONDAY)
    assert asked(47) == []
    assert asked(49) == ["open"]


def test_who_stops_the_runs_expects_none_and_who_lets_them_go_on_waits_two_periods(watched: House) -> None:
    switches.stop(connection=watched.connection, switch=Switch.RUNS, reason="x", actor=OPERATOR)
    assert asked(100) == []
    with travel(MONDAY + timedelta(hours=100), tick=False):
        switches.resume(connection=watched.connection, switch=Switch.RUNS, reason="x", actor=OPERATOR)
    assert asked(147) == []
    assert asked(149) == ["open"]


def test_a_connection_that_was_just_activated_has_two_periods(watched: House) -> None:
    setup.disable(connection=watched.connection, actor=OPERATOR, reason="x")
    with travel(MONDAY + timedelta(days=30), tick=False):
        setup.activate_untested(connection=watched.connection, actor=OPERATOR, reason="x")
        assert overdue.warn_of_overdue(at=now()) == []


def test_a_neighbour_s_run_does_not_count(watched: House, globex: House) -> None:
    with travel(MONDAY + timedelta(hours=40), tick=False):
        run_it(globex)
    assert asked(49) == ["open"]
    assert Finding.objects.get().tenant_id == watched.tenant.pk
