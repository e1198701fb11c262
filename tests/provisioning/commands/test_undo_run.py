"""`undo_run`: by an operator, with a preview, and naming what it leaves."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from uuid import UUID

import pytest
from django.core.management import call_command

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.types import HoldKind
from provisioning.models import AuditRecord, Hold, Identity, ReconciliationRun
from provisioning.services import people

from ..cast import OPERATOR, House, sign_in
from .conftest import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def done(acme: House) -> ReconciliationRun:
    for n in range(2):
        sign_in(acme, f"jit-{n}", at=now() - timedelta(days=30))
    return reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))


def test_a_dry_run_says_what_would_be_changed(done: ReconciliationRun, run: Run) -> None:
    said = run("undo_run", str(done.pk), "--dry-run")
    assert (said["wanted"], said["counts"]) == (2, {})
    assert {(item["reason"], tuple(item["changes"])) for item in said["items"]} == {
        ("item:undone", ("WithdrawFinding", "LiftHold"))
    }
    assert Hold.objects.count() == 2


def test_it_takes_back_what_it_may(done: ReconciliationRun, run: Run, read: Callable[..., str]) -> None:
    item = done.items.first()
    said = run("undo_run", str(done.pk), "--items", str(item.pk), "--reason", "Wrong grace")
    assert said["counts"] == {"item:undone": 1}
    assert Hold.objects.exclude(identity_id=item.identity_id).count() == 1
    assert AuditRecord.objects.get(reason="item:undone").actor_kind == "command"
    assert "stay ended" in read("undo_run", str(done.pk), "--reason", "Wrong grace")
    assert not Hold.objects.exists()


def test_what_is_newer_is_named_and_the_exit_code_says_so(done: ReconciliationRun) -> None:
    identity = Identity.objects.get(pk=done.items.first().identity_id)
    people.lift_hold(identity=identity, kind=HoldKind.EXPIRY, reason="known", actor=OPERATOR)
    said = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("undo_run", str(done.pk), "--reason", "Wrong grace", stdout=said)
    assert ended.value.code == 3
    assert "Command line (tests)" in said.getvalue()
    assert "An administrator lifted a hold." in said.getvalue()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--reason", ""], "in writing", id="without a reason"),
        pytest.param(["--reason", "x", "--items", "0"], "no item 0", id="an item that it has not"),
    ],
)
def test_it_refuses(done: ReconciliationRun, fail: Run, arguments: list[str], says: str) -> None:
    assert says in fail("undo_run", str(done.pk), *arguments)


@pytest.mark.parametrize("key", ["garbage", str(UUID(int=0))])
def test_a_run_that_is_none_is_not_found(acme: House, fail: Run, key: str) -> None:
    assert "no run" in fail("undo_run", key, "--reason", "x")
