"""A connection comes into use on its page: the list, acceptances in writing, activation, and its end."""

from django.test import Client

from provisioning.models import Connection, Proof
from provisioning.services import configuration
from tests.provisioning.cast import OPERATOR

from .scene import Scene


def draft_of(scene: Scene) -> Connection:
    return configuration.create_connection(
        tenant=scene.where.tenant, name="Pushes", actor=OPERATOR, reason="As agreed"
    )


def page_of(connection: Connection) -> str:
    return f"/admin/provisioning/connection/{connection.pk}"


def test_a_draft_is_activated_when_what_lacks_was_accepted_in_writing(admin: Client, ours: Scene) -> None:
    draft = draft_of(ours)
    page = admin.get(f"{page_of(draft)}/change/").content.decode()
    assert "2 open" in page
    assert "A path for leavers" in page
    refused = admin.post(f"{page_of(draft)}/activate/", {"reason": "Go."})
    assert "It is not ready: a path for leavers, deactivation proven." in refused.content.decode()
    for item in ("lifecycle", "deactivation"):
        assert admin.post(f"{page_of(draft)}/accept/{item}/", {"reason": "A trial."}).status_code == 302
    assert "ready to be activated" in admin.get(f"{page_of(draft)}/change/").content.decode()
    assert admin.post(f"{page_of(draft)}/activate/", {"reason": "Go."}).status_code == 302
    draft.refresh_from_db()
    assert draft.status == "active"


def test_an_acceptance_needs_a_reason_and_an_item_that_exists(admin: Client, ours: Scene) -> None:
    draft = draft_of(ours)
    assert admin.post(f"{page_of(draft)}/accept/lifecycle/", {"reason": ""}).status_code == 200
    assert admin.post(f"{page_of(draft)}/accept/nonsense/", {"reason": "x"}).status_code == 404
    refused = admin.post(f"{page_of(draft)}/accept/certificate/", {"reason": "x"})
    assert "it has to be met" in refused.content.decode()
    assert not Proof.objects.exists()


def test_a_connection_is_disabled_with_a_reason(admin: Client, ours: Scene) -> None:
    connection = ours.where.connection
    assert admin.post(f"{page_of(connection)}/disable/", {"reason": ""}).status_code == 200
    assert admin.post(f"{page_of(connection)}/disable/", {"reason": "The contract ended."}).status_code == 302
    connection.refresh_from_db()
    assert connection.status == "disabled"


def test_another_tenants_connection_is_not_there(admin: Client, theirs: Scene) -> None:
    page = page_of(theirs.where.connection)
    for action in ("activate", "disable", "accept/lifecycle"):
        assert admin.post(f"{page}/{action}/", {"reason": "x"}).status_code == 404, action
        assert admin.get(f"{page}/{action}/").status_code in (403, 404), action
    assert Connection.objects.get(pk=theirs.where.connection.pk).status == "active"
