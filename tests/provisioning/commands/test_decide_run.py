"""`decide_run`: part of a run, all of it, or nothing."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.models import OutboxMessage, ReconciliationRun
from provisioning.services import configuration

from ..cast import OPERATOR, House, sign_in
from .conftest import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def held(acme: House) -> ReconciliationRun:
    for n in range(6):
        sign_in(acme, f"jit-{n}", at=now() - timedelta(days=30))
    return reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")


def test_part_of_it_is_released(held: ReconciliationRun, run: Run, read: Callable[..., str]) -> None:
    items = [str(item.pk) for item in held.items.all()[:4]]
    said = run("decide_run", str(held.pk), "--items", *items, "--release", "--reason", "These two left")
    assert (said["status"], said["planned"], said["left_out"], said["destructive"]) == ("simulated", 2, 4, 2)
    assert OutboxMessage.objects.filter(topic="run.execute").count() == 1


def test_items_come_in_again_and_the_run_is_rejected(held: ReconciliationRun, run: Run) -> None:
    which = ("decide_run", str(held.pk), "--destructive", "--reason", "x")
    assert run(*which)["turned"] == 6
    assert run(*which, "--take-in")["turned"] == 6
    assert run("decide_run", str(held.pk), "--reject", "--reason", "x")["status"] == "rejected"


def test_where_two_are_needed_a_command_is_not_enough(
    acme: House, held: ReconciliationRun, fail: Run
) -> None:
    configuration.change_connection(
        connection=acme.connection, changes={"second_approver_over": 1}, actor=OPERATOR, reason="As agreed"
    )
    assert "two administrators" in fail("decide_run", str(held.pk), "--release", "--reason", "x")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["garbage", "--release", "--reason", "x"], "no run", id="what is no run"),
        pytest.param(["{run}", "--release", "--reason", " "], "in writing", id="without a reason"),
        pytest.param(["{run}", "--release", "--reject", "--reason", "x"], "not allowed", id="both"),
    ],
)
def test_it_refuses(held: ReconciliationRun, fail: Run, arguments: list[str], says: str) -> None:
    assert says in fail("decide_run", *(one.format(run=held.pk) for one in arguments))
