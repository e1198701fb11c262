"""A connection's page lists its people: set up, tried, pulled, removed; the credential is on no page."""

from typing import Any

import pytest
from django.test import Client

from provisioning.models import AuditRecord, OutboxMessage, Roster, RosterSource
from tests.conversations.played import LISTINGS, playing

from .scene import Scene

SECRET = "s3cret-that-nobody-sees"


def page(ours: Scene, rest: str = "change/") -> str:
    return f"/admin/provisioning/connection/{ours.where.connection.pk}/{rest}"


def form(base: str, **more: Any) -> dict[str, Any]:
    return {"kind": "scim", "base_address": f"{base}/scim/v2", "secret": SECRET, "reason": "x", **more}


def steps_of(name: str) -> list[dict[str, Any]]:
    steps = next(one["steps"] for one in LISTINGS if one["id"] == name)
    return [{**step, "headers": {}, "query": {}} for step in steps]


def test_it_is_set_up_tried_and_removed_and_the_credential_is_never_shown(admin: Client, ours: Scene) -> None:
    assert "does not list them itself" in admin.get(page(ours)).content.decode()
    with playing(steps_of("scim-index")[:2]) as played:
        answer = admin.post(page(ours, "roster-source/"), form(played.base, scheduled="on", reason="Leavers"))
        assert answer.status_code == 302
        shown = admin.get(page(ours)).content.decode()
        assert "every night" in shown
        assert "never shown" in shown
        assert SECRET not in shown
        again = admin.get(page(ours, "roster-source/"))
        assert SECRET not in again.content.decode()
        assert "no-store" in again["Cache-Control"]

        tried = admin.post(page(ours, "roster-source-test/"))
        text = tried.content.decode()
        assert "person1@corp.example" in text
        assert "of 5 in all" in text
        assert "no-store" in tried["Cache-Control"]
        assert not Roster.objects.filter(source="scim").exists()
        played.finish()

    answer = admin.post(page(ours, "roster-source-remove/"), {"reason": "No more"})
    assert answer.status_code == 302
    assert not RosterSource.objects.exists()
    acts = AuditRecord.objects.filter(reason__startswith="roster:source-").order_by("at")
    assert [row.reason for row in acts] == ["roster:source-set", "roster:source-removed"]


def test_a_form_that_comes_back_does_not_bring_the_credential(admin: Client, ours: Scene) -> None:
    answer = admin.post(page(ours, "roster-source/"), form("ftp://idp.example"))
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "must begin with https://" in text
    assert SECRET not in text
    assert not RosterSource.objects.exists()


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        pytest.param("user_name userName", "attribute = column", id="no equals sign"),
        pytest.param("shoe_size = x", "shoe_size", id="no attribute of the hub"),
    ],
)
def test_a_mapping_that_is_none_is_refused(admin: Client, ours: Scene, lines: str, says: str) -> None:
    answer = admin.post(page(ours, "roster-source/"), form("https://idp.example", mapping=lines))
    assert says in answer.content.decode()
    assert not RosterSource.objects.exists()


def test_a_mapping_of_ones_own_is_shown_again_and_the_usual_one_is_not(admin: Client, ours: Scene) -> None:
    admin.post(page(ours, "roster-source/"), form("https://idp.example"))
    assert "user_name = userName" not in admin.get(page(ours, "roster-source/")).content.decode()
    own = "external_id = externalId\nuser_name = userName\nactive = active"
    admin.post(page(ours, "roster-source/"), form("https://idp.example", secret="", mapping=own))
    assert RosterSource.objects.get().mapping == {
        "external_id": "externalId",
        "user_name": "userName",
        "active": "active",
    }
    assert "external_id = externalId" in admin.get(page(ours, "roster-source/")).content.decode()


def test_a_first_page_that_cannot_be_fetched_says_why(admin: Client, ours: Scene) -> None:
    with playing(steps_of("scim-refused")) as played:
        admin.post(page(ours, "roster-source/"), form(played.base))
        answer = admin.post(page(ours, "roster-source-test/"), follow=True)
        played.finish()
    text = answer.content.decode()
    assert "The first page could not be fetched. 127.0.0.1 refuses the credential" in text


def test_a_pull_is_a_workers_and_keeps_who_asked(admin: Client, ours: Scene) -> None:
    admin.post(page(ours, "roster-source/"), form("https://idp.example"))
    assert admin.post(page(ours, "roster-source-pull/"), {"reason": "Somebody left"}).status_code == 302
    (ordered,) = OutboxMessage.objects.filter(topic="roster.pull")
    assert ordered.tenant_id == ours.where.tenant.pk
    assert ordered.payload == {
        "connection": str(ours.where.connection.pk),
        "actor": f"identity:{ours.administrator.pk}",
    }

    asked = AuditRecord.objects.get(reason="roster:ordered")
    assert (asked.actor_id, asked.connection_id) == (str(ours.administrator.pk), ours.where.connection.pk)


def test_a_link_fetches_nothing(admin: Client, ours: Scene) -> None:
    admin.post(page(ours, "roster-source/"), form("https://idp.example"))
    assert admin.get(page(ours, "roster-source-test/")).status_code == 405
    assert "required" in admin.post(page(ours, "roster-source-pull/"), {"reason": " "}).content.decode()
    assert admin.get(page(ours, "roster-source-pull/")).status_code == 200
    assert not OutboxMessage.objects.filter(topic="roster.pull").exists()


def test_nobody_gets_at_anothers(admin: Client, ours: Scene, theirs: Scene) -> None:
    for rest in ("", "-test", "-pull", "-remove"):
        answer = admin.post(page(theirs, f"roster-source{rest}/"), form("https://idp.example", reason="x"))
        assert answer.status_code == 404
    assert not RosterSource.objects.exists()
    assert not OutboxMessage.objects.filter(topic="roster.pull").exists()


def test_the_worst_of_a_listing_is_on_the_connections_page(admin: Client, ours: Scene) -> None:
    admin.post(page(ours, "roster-source/"), form("https://idp.example"))
    RosterSource.objects.update(problem="idp.example is busy (status 503).")
    Roster.objects.create(
        tenant=ours.where.tenant,
        connection=ours.where.connection,
        source="scim",
        status="refused",
        code="roster:truncated",
        note="idp.example promises 6 people and lists 3.",
        as_of=ours.run.started_at,
        requested_by="schedule:",
    )
    text = admin.get(page(ours)).content.decode()
    assert "idp.example is busy (status 503). What was listed is kept" in text
    assert "promises 6 people and lists 3." in text
