"""What an administrator does goes through the services: it has its effect, its reason and its audit record."""

from django.test import Client

from provisioning.models import (
    AuditRecord,
    AuditValue,
    Finding,
    Hold,
    OutboxMessage,
    ReconciliationRun,
    Session,
)

from .conftest import Enter
from .scene import PASSWORD, Scene


def reasons(scene: Scene) -> set[str]:
    return set(AuditRecord.objects.filter(tenant_id=scene.where.tenant.pk).values_list("reason", flat=True))


def test_a_hold_says_who_placed_it_and_why(admin: Client, ours: Scene) -> None:
    address = f"/admin/provisioning/identity/{ours.active.pk}/place-hold/"
    assert admin.get(address).status_code == 200
    assert admin.post(address, {"kind": "admin"}).status_code == 200  # no reason, no hold
    assert not ours.active.holds.exists()
    response = admin.post(address, {"kind": "admin", "reason": "Left the project"}, follow=True)
    assert "Cannot sign in" in response.content.decode()
    hold = Hold.objects.get(identity=ours.active)
    assert (hold.kind, hold.placed_by) == ("admin", f"identity:{ours.administrator.pk}")
    record = AuditRecord.objects.filter(identity_id=ours.active.pk, reason="identity:held").get()
    assert record.actor_id == str(ours.administrator.pk)
    assert AuditValue.objects.get(pk=record.pk).values["reason"] == "Left the project"


def test_a_hold_is_lifted_and_no_other(admin: Client, ours: Scene) -> None:
    base = f"/admin/provisioning/identity/{ours.security.pk}"
    admin.post(f"{base}/place-hold/", {"kind": "admin", "reason": "Both"})
    admin.post(f"{base}/lift-hold/", {"kind": "security", "reason": "Laptop found"})
    assert [hold.kind for hold in ours.security.holds.all()] == ["admin"]


def test_only_a_hold_that_is_there_can_be_lifted(admin: Client, ours: Scene) -> None:
    address = f"/admin/provisioning/identity/{ours.active.pk}"
    assert "lift-hold" not in admin.get(f"{address}/change/").content.decode()
    assert admin.post(f"{address}/lift-hold/", {"kind": "security", "reason": "x"}).status_code == 200


def test_all_sessions_end(admin: Client, enter: Enter, ours: Scene) -> None:
    browser = enter(ours.staff)
    admin.post(f"/admin/provisioning/identity/{ours.staff.pk}/end-sessions/", {"reason": "Shared computer"})
    assert browser.get("/admin/").status_code == 302
    assert "identity:sessions-ended" in reasons(ours)


def test_one_session_ends_and_its_key_is_on_no_page(admin: Client, ours: Scene) -> None:
    page = admin.get(f"/admin/provisioning/identity/{ours.active.pk}/change/").content.decode()
    assert ours.session.session_key not in page
    address = page.split("end-session/")[1].split('"')[0]
    address = f"/admin/provisioning/identity/{ours.active.pk}/end-session/{address}"
    assert admin.post(address, {"reason": ""}).status_code == 200
    assert admin.post(address, {"reason": "Lost phone"}).status_code == 302
    assert not Session.objects.filter(pk=ours.session.pk).exists()


def test_a_finding_is_approved_for_the_chosen_person(admin: Client, ours: Scene) -> None:
    address = f"/admin/provisioning/finding/{ours.finding.pk}"
    page = admin.get(f"{address}/change/").content.decode()
    assert "Side by side" in page
    assert "The same e-mail, in a domain of the organisation" in page
    assert f"The account is tied to {ours.active}" in page
    assert "A new person is made for the account" in page
    admin.post(
        f"{address}/decide/",
        {"remedy": f"link:{ours.active.pk}", "reason": "Asked her manager"},
    )
    finding = Finding.objects.select_related("account").get(pk=ours.finding.pk)
    assert (finding.status, finding.account.identity_id) == ("approved", ours.active.pk)


def test_a_finding_is_rejected_and_the_account_is_somebody_else(admin: Client, ours: Scene) -> None:
    admin.post(
        f"/admin/provisioning/finding/{ours.finding.pk}/decide/", {"remedy": "separate", "reason": "Namesake"}
    )
    finding = Finding.objects.select_related("account").get(pk=ours.finding.pk)
    assert finding.status == "rejected"
    assert finding.account.identity_id not in (None, ours.active.pk)


def test_a_finding_takes_no_stranger_and_no_decision_without_a_reason(
    admin: Client, ours: Scene, theirs: Scene
) -> None:
    address = f"/admin/provisioning/finding/{ours.finding.pk}/decide/"
    for data in (
        {"remedy": f"link:{theirs.active.pk}", "reason": "x"},
        {"remedy": f"link:{ours.held.pk}", "reason": "x"},
        {"remedy": "link:garbage", "reason": "x"},
        {"remedy": "let-in", "reason": "x"},
        {"remedy": "separate", "reason": ""},
        {"reason": "x"},
    ):
        admin.post(address, data)
    assert Finding.objects.get(pk=ours.finding.pk).status == "open"


def test_a_finding_gets_an_owner_and_a_day_and_is_found_by_them(
    admin: Client, ours: Scene, theirs: Scene
) -> None:
    address = f"/admin/provisioning/finding/{ours.finding.pk}"
    assert f"Administrator of {ours.word} (you)" in admin.get(f"{address}/assign/").content.decode()
    for stranger in (theirs.administrator.pk, ours.active.pk, "garbage"):
        assert admin.post(f"{address}/assign/", {"owner": str(stranger), "reason": "x"}).status_code == 200
    mine = {"owner": str(ours.administrator.pk)}
    assert admin.post(f"{address}/assign/", mine).status_code == 200, "without a reason"
    assert admin.post(f"{address}/assign/", mine | {"reason": "Mine"}).status_code == 302
    assert admin.post(f"{address}/due/", {"due_at": "2000-01-01", "reason": "x"}).status_code == 200
    assert admin.post(f"{address}/due/", {"due_at": "2099-01-31", "reason": "On leave"}).status_code == 302
    page = admin.get(f"{address}/change/").content.decode()
    assert "Due 2099-01-31" in page
    assert "sees to it" in page
    found = admin.get("/admin/provisioning/finding/?owner=me&due=later").content.decode()
    assert str(ours.finding.pk) in found
    for other in ("owner=nobody&due=later", "owner=me&due=overdue", "owner=me&due=week", "owner=x"):
        assert str(ours.finding.pk) not in admin.get(f"/admin/provisioning/finding/?{other}").content.decode()


def test_a_run_is_simulated_rejected_or_handed_to_a_worker(admin: Client, ours: Scene) -> None:
    run = f"/admin/provisioning/reconciliationrun/{ours.run.pk}"
    assert "loses access" in admin.get(f"{run}/change/").content.decode()
    ordered = OutboxMessage.objects.filter(topic="run.execute", payload={"run": str(ours.run.pk)})
    admin.post(f"{run}/execute/")
    assert not ordered.exists(), "without a reason"
    admin.post(f"{run}/execute/", {"reason": "Looked at every item"})
    assert ordered.exists()
    told = AuditRecord.objects.get(reason="run:ordered", object_id=ours.run.pk)
    assert AuditValue.objects.get(pk=told.pk).values == {"reason": "Looked at every item"}
    admin.post(f"{run}/reject/", {"reason": "Not today"})
    ours.run.refresh_from_db()
    assert ours.run.status == "rejected"
    address = f"/admin/provisioning/connection/{ours.where.connection.pk}/simulate/"
    assert admin.post(address).status_code == 200, "without a reason"
    response = admin.post(address, {"reason": "A look"})
    assert response["Location"].startswith("/admin/provisioning/reconciliationrun/")


def test_a_run_that_nobody_works_on_is_cancelled_with_a_reason(admin: Client, ours: Scene) -> None:
    run = f"/admin/provisioning/reconciliationrun/{ours.run.pk}"
    assert "/cancel/" not in admin.get(f"{run}/change/").content.decode(), "who waits is rejected"
    ReconciliationRun.objects.filter(pk=ours.run.pk).update(status="executing", items_total=7, items_done=3)
    page = admin.get(f"{run}/change/").content.decode()
    assert "/cancel/" in page
    assert "3 of 7" in page
    assert "3 of 7" in admin.get(f"{run}/cancel/").content.decode()
    assert admin.post(f"{run}/cancel/", {"reason": ""}).status_code == 200  # no reason, no end
    said = admin.post(f"{run}/cancel/", {"reason": "Wrong file"}, follow=True).content.decode()
    assert "Cancelled. 3 of 7 items had been decided." in said
    assert {"run:cancel-ordered", "run:cancelled"} <= reasons(ours)


def test_an_own_password_is_changed_by_the_service(admin: Client, ours: Scene) -> None:
    fresh = "another horse battery staple"
    response = admin.post(
        "/admin/password_change/",
        {"old_password": PASSWORD, "new_password1": fresh, "new_password2": fresh},
    )
    assert response.status_code == 302
    assert admin.get("/admin/").status_code == 200  # this session stays
    assert "identity:password-set" in reasons(ours)
    assert Client().login(username=ours.administrator.login_name, password=fresh)


def test_a_local_administrator_signs_in_here(ours: Scene) -> None:
    browser = Client()
    response = browser.post(
        "/admin/login/?next=/admin/", {"username": ours.administrator.login_name, "password": PASSWORD}
    )
    assert response["Location"] == "/admin/"
    assert browser.get("/admin/").status_code == 200
