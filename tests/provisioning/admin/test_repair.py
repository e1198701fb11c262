"""Taking part of a run, releasing it by two, undoing it, and the kill switches: by the pages of the admin."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.policy import Switch
from provisioning.decision.types import HoldKind
from provisioning.models import AuditRecord, Connection, Hold, Identity, OutboxMessage, ReconciliationRun
from provisioning.services import configuration, people, switches, undo

from ..cast import OPERATOR, sign_in
from .conftest import Enter
from .scene import PASSWORD, Scene

RUN = "/admin/provisioning/reconciliationrun"


@pytest.fixture
def held(ours: Scene) -> ReconciliationRun:
    """A run in quarantine: seven people."""
    for n in range(6):
        sign_in(ours.where, f"jit-{n}", at=now() - timedelta(days=30))
    run = reconciliation.simulate(ours.where.connection, OPERATOR, reason="As agreed")
    assert run.status == "quarantined"
    return run


@pytest.fixture
def second(enter: Enter, ours: Scene) -> Client:
    """Another administrator of ours."""
    return enter(
        configuration.create_local_identity(
            login_name="second-acme",
            password=PASSWORD,
            tenant=ours.where.tenant,
            display_name="Second administrator of acme",
            tenant_administrator=True,
            actor=OPERATOR,
            reason="As agreed",
        )
    )


def text(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(
    ("act", "status", "said"),
    [
        ("release", "rejected", "Not released: the run is rejected."),
        ("release", "overtaken", "Not released: the run is overtaken."),
        ("release", "cancelled", "Not released: the run is cancelled."),
        ("reject", "executing", "Not rejected: the run is executing by now."),
        ("reject", "done", "Not rejected: the run is done by now."),
        ("cancel", "done", "Not stopped: the run is done by now."),
        ("execute", "quarantined", "Only a run that was simulated can be executed"),
        ("execute", "rejected", "Only a run that was simulated can be executed"),
    ],
)
def test_a_page_that_was_open_when_somebody_else_decided_says_so(
    admin: Client, held: ReconciliationRun, act: str, status: str, said: str
) -> None:
    ReconciliationRun.objects.filter(pk=held.pk).update(status=status)
    page = admin.post(f"{RUN}/{held.pk}/{act}/", {"reason": "As agreed"}, follow=True).content.decode()
    assert said in page
    held.refresh_from_db()
    assert held.status == status
    assert not OutboxMessage.objects.filter(topic="run.execute").exists()


class TestPart:
    def test_the_chosen_are_left_out_and_taken_in_again(self, admin: Client, held: ReconciliationRun) -> None:
        address = f"{RUN}/{held.pk}/take-part/"
        items = list(held.items.filter(status="planned", destructive=True)[:2])
        said: dict[str, Any] = {"which": "chosen", "reason": "On leave", "item": [item.pk for item in items]}
        assert f'value="{items[0].pk}"' in text(admin, address)
        admin.post(address, said | {"leave_out": "yes"})
        assert held.items.filter(status="left-out").count() == 2
        assert "2 left out" in text(admin, f"{RUN}/{held.pk}/change/")
        admin.post(address, said | {"take_in": "yes"})
        assert not held.items.filter(status="left-out").exists()
        assert AuditRecord.objects.filter(reason="run:chosen").count() == 2

    @pytest.mark.parametrize("which", ["destructive", "reason=account:expired", "situation=adoptable"])
    def test_many_are_left_out_at_once(self, admin: Client, held: ReconciliationRun, which: str) -> None:
        said = {"which": which, "reason": "Not today", "leave_out": "yes"}
        admin.post(f"{RUN}/{held.pk}/take-part/", said)
        held.refresh_from_db()
        assert held.destructive == 0

    @pytest.mark.parametrize(
        "said",
        [
            pytest.param({"which": "destructive", "reason": ""}, id="without a reason"),
            pytest.param({"which": "nonsense", "reason": "x"}, id="something else"),
            pytest.param({"which": "chosen", "reason": "x", "item": ["a", "-1", "9" * 30]}, id="no ids"),
        ],
    )
    def test_nothing_is_left_out(self, admin: Client, held: ReconciliationRun, said: dict[str, Any]) -> None:
        admin.post(f"{RUN}/{held.pk}/take-part/", said | {"leave_out": "yes"})
        assert not held.items.filter(status="left-out").exists()

    def test_a_page_is_one_of_many(self, admin: Client, held: ReconciliationRun) -> None:
        for page in ("1", "2", "0", "x", "9" * 30):
            assert admin.get(f"{RUN}/{held.pk}/take-part/", {"page": page}).status_code == 200


class TestTwo:
    @pytest.fixture
    def strict(self, ours: Scene, held: ReconciliationRun) -> ReconciliationRun:
        configuration.change_connection(
            connection=ours.where.connection,
            changes={"second_approver_over": 3},
            actor=OPERATOR,
            reason="As agreed",
        )
        return held

    def test_one_is_not_enough(self, admin: Client, second: Client, strict: ReconciliationRun) -> None:
        address = f"{RUN}/{strict.pk}/release/"
        assert "needs two administrators" in text(admin, address)
        admin.post(address, {"reason": "They left"})
        page = text(admin, f"{RUN}/{strict.pk}/change/")
        assert "Another administrator has to release it" in page
        again = admin.post(address, {"reason": "They left"})
        assert "You have released this run already" in again.content.decode()
        assert not OutboxMessage.objects.filter(topic="run.execute").exists()
        second.post(address, {"reason": "Seen"})
        strict.refresh_from_db()
        assert strict.status == "simulated"
        assert OutboxMessage.objects.filter(topic="run.execute").count() == 1


class TestUndo:
    @pytest.fixture
    def done(self, held: ReconciliationRun) -> ReconciliationRun:
        return reconciliation.execute(reconciliation.release(held, OPERATOR, "they left"))

    def test_the_preview_says_what_would_be_changed_and_who_is_in_the_way(
        self, admin: Client, ours: Scene, done: ReconciliationRun
    ) -> None:
        item = done.items.filter(status="applied").first()
        people.lift_hold(
            identity=Identity.objects.get(pk=item.identity_id),
            kind=HoldKind.EXPIRY,
            reason="known",
            actor=OPERATOR,
        )
        page = text(admin, f"{RUN}/{done.pk}/undo/")
        assert "The hold is lifted: expiry" in page
        assert "Left alone" in page
        assert "Command line (tests)" in page
        assert f'value="{item.pk}"' not in page

    def test_each_item_has_its_own_thirty_days_and_the_page_says_so(
        self, admin: Client, ours: Scene, done: ReconciliationRun
    ) -> None:
        first, *others = done.items.filter(status="applied")
        began, ended = now() - timedelta(days=31), now() - timedelta(days=12)
        done.items.filter(pk=first.pk).update(decided_at=began)
        done.items.filter(pk__in=[one.pk for one in others]).update(decided_at=ended)
        page = text(admin, f"{RUN}/{done.pk}/undo/")
        until = f"{ended + undo.KEPT:%Y-%m-%d %H:%M}"
        assert f"<dd>{until}, its first items until {began + undo.KEPT:%Y-%m-%d %H:%M}</dd>" in page
        items = list(undo.items_of(done))
        reasons = {one.item.pk: one.reason for one in undo.preview(done, items)}
        assert reasons == {first.pk: "item:too-old"} | {one.pk: "item:undone" for one in others}
        done.items.filter(pk=first.pk).update(decided_at=ended)
        assert f"<dd>{until}</dd>" in text(admin, f"{RUN}/{done.pk}/undo/")

    def test_the_chosen_or_all_are_taken_back_by_a_worker(
        self, admin: Client, done: ReconciliationRun
    ) -> None:
        address = f"{RUN}/{done.pk}/undo/"
        item = done.items.filter(status="applied").first()
        assert admin.post(address, {"which": "everything", "reason": ""}).status_code == 200
        admin.post(address, {"which": "chosen", "reason": "A mistake", "item": [item.pk]})
        assert OutboxMessage.objects.get(topic="run.undo").payload == {"run": str(done.pk)}
        assert "1 to undo" in text(admin, f"{RUN}/{done.pk}/change/")
        undo.carry_out(done)
        assert "1 taken back" in text(admin, f"{RUN}/{done.pk}/change/")
        admin.post(address, {"which": "everything", "reason": "All of it"})
        undo.carry_out(done)
        assert not Hold.objects.filter(kind="expiry").exists()

    def test_a_run_that_did_nothing_offers_no_undo(self, admin: Client, held: ReconciliationRun) -> None:
        assert f"{held.pk}/undo/" not in text(admin, f"{RUN}/{held.pk}/change/")
        said = {"which": "everything", "reason": "x"}
        answer = admin.post(f"{RUN}/{held.pk}/undo/", said)
        assert "Nothing of it is left" in answer.content.decode()


class TestSwitches:
    @pytest.mark.parametrize("switch", Switch)
    def test_each_is_stopped_and_let_go_on_with_a_reason(
        self, admin: Client, ours: Scene, switch: Switch
    ) -> None:
        base = f"/admin/provisioning/connection/{ours.where.connection.pk}"
        assert f"../stop-{switch}/" in text(admin, f"{base}/change/")
        assert admin.post(f"{base}/stop-{switch}/", {"reason": ""}).status_code == 200
        assert admin.post(f"{base}/stop-{switch}/", {"reason": "An incident"}).status_code == 302
        page = text(admin, f"{base}/change/")
        assert "An incident" in page
        assert "Administrator of acme" in page
        assert f"../resume-{switch}/" in page
        assert "stopped" in text(admin, "/admin/")
        admin.post(f"{base}/resume-{switch}/", {"reason": "Over"})
        assert Connection.objects.get(pk=ours.where.connection.pk).stopped == {}

    def test_another_tenant_s_are_not_on_the_start_page(
        self, admin: Client, ours: Scene, theirs: Scene
    ) -> None:
        switches.stop(connection=theirs.where.connection, switch=Switch.RUNS, reason="theirs", actor=OPERATOR)
        assert "Runs stopped" not in text(admin, "/admin/")


class TestProtected:
    def test_a_person_is_protected_from_runs_and_left_to_them_again(self, admin: Client, ours: Scene) -> None:
        base = f"/admin/provisioning/identity/{ours.active.pk}"
        assert "leave-to-runs" not in text(admin, f"{base}/change/")
        admin.post(f"{base}/keep-from-runs/", {"reason": "Runs the night shift"})
        page = text(admin, f"{base}/change/")
        assert "Runs the night shift" in page
        assert "keep-from-runs" not in page
        admin.post(f"{base}/leave-to-runs/", {"reason": "Retired"})
        assert not Identity.objects.get(pk=ours.active.pk).kept_from_runs
