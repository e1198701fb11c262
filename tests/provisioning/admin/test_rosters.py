"""A listing from its upload to its verdict, as an administrator walks."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from provisioning.models import AuditRecord, Roster, RosterPart
from provisioning.services import roster_files

from ..cast import push
from .scene import Scene, person

ROSTERS = "/admin/provisioning/roster/"


def uploaded(admin: Client, scene: Scene, content: str, name: str = "people.csv", **more: Any) -> Any:
    address = f"/admin/provisioning/connection/{scene.where.connection.pk}/upload-roster/"
    return admin.post(address, {"file": SimpleUploadedFile(name, content.encode()), "reason": "x", **more})


def csv_of(scene: Scene, number: int = 3) -> str:
    lines = [f"{scene.word}-{n},p{n}@{scene.where.domain},Engineer" for n in range(1, number + 1)]
    return "\n".join(["id,userName,Position", *lines, ""])


def latest() -> Roster:
    found = Roster.objects.order_by("-id").first()
    assert found is not None
    return found


def loaded(admin: Client, scene: Scene, content: str, **mapping: str) -> Roster:
    uploaded(admin, scene, content)
    roster = latest()
    admin.post(f"{ROSTERS}{roster.pk}/map/", {**roster.mapping, **mapping, "take": "yes", "reason": "x"})
    roster.refresh_from_db()
    return roster_files.load(roster)


def test_an_upload_is_looked_at_before_it_is_loaded(admin: Client, ours: Scene) -> None:
    response = uploaded(admin, ours, csv_of(ours), expected="3", as_of_0="2026-01-31", as_of_1="08:00")
    roster = latest()
    assert response["Location"] == f"{ROSTERS}{roster.pk}/map/"
    assert (roster.status, roster.expected, f"{roster.as_of:%Y-%m-%d %H:%M}") == (
        "draft",
        3,
        "2026-01-31 08:00",
    )

    page = admin.get(response["Location"]).content.decode()
    assert f"p1@{ours.where.domain}" in page
    assert "Position" in page
    mapping = {"external_id": "id", "user_name": "userName", "department": "Position", "title": ""}
    again = admin.post(response["Location"], mapping).content.decode()
    assert 'value="Position" selected' in again
    roster.refresh_from_db()
    assert roster.status == "draft"

    taken = admin.post(
        response["Location"], {**mapping, "take": "yes", "reason": "x"}, follow=True
    ).content.decode()
    assert "A worker loads the roster" in taken
    roster.refresh_from_db()
    assert (roster.status, roster.fields) == ("loading", ["external_id", "user_name", "department"])

    roster_files.load(roster)
    assert "hub-success" in admin.get(f"{ROSTERS}{roster.pk}/change/").content.decode()
    connection = admin.get(f"/admin/provisioning/connection/{ours.where.connection.pk}/change/")
    assert "2026-01-31 08:00" in connection.content.decode()


def test_the_preview_tells_whom_the_hub_knows(admin: Client, ours: Scene) -> None:
    push(ours.where, person(ours.where, "p1", "Pia", "One", 1001) | {"externalId": "another"})
    uploaded(admin, ours, csv_of(ours))
    page = admin.get(f"{ROSTERS}{latest().pk}/map/").content.decode()
    assert "1 of them has another externalId" in page


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        pytest.param({}, "people are recognised by them", id="nothing is mapped"),
        pytest.param({"user_name": "nowhere"}, "not one of the available choices", id="no such column"),
        pytest.param(
            {"user_name": "userName", "active": "id", "inactive": "id"}, "not both", id="yes and no at once"
        ),
    ],
)
def test_a_mapping_that_cannot_be_is_said_on_the_page(
    admin: Client, ours: Scene, mapping: dict[str, str], says: str
) -> None:
    uploaded(admin, ours, csv_of(ours))
    response = admin.post(f"{ROSTERS}{latest().pk}/map/", {**mapping, "take": "yes", "reason": "x"})
    assert response.status_code == 200
    assert says in response.content.decode()
    assert latest().status == "draft"


@pytest.mark.parametrize(
    ("content", "more", "says"),
    [
        pytest.param("PK\x03\x04", {}, "spreadsheet", id="a spreadsheet"),
        pytest.param("", {}, "empty", id="an empty file"),
        pytest.param(
            "userName\na\n", {"as_of_0": "2999-01-01", "as_of_1": "00:00"}, "future", id="of the future"
        ),
        pytest.param("userName\na\n", {"expected": "-1"}, "greater than or equal", id="fewer than nobody"),
        pytest.param("userName\na\n", {"expected": "9" * 30}, "less than or equal", id="more than there are"),
    ],
)
def test_what_is_no_listing_is_refused_at_the_upload(
    admin: Client, ours: Scene, content: str, more: dict[str, str], says: str
) -> None:
    before = Roster.objects.count()
    response = uploaded(admin, ours, content, **more)
    assert response.status_code == 200
    assert says in response.content.decode()
    assert Roster.objects.count() == before


def test_faults_are_shown_by_line_and_not_by_value(admin: Client, ours: Scene) -> None:
    roster = loaded(admin, ours, csv_of(ours) + f"{ours.word}-9,secret.person\u202e,x\n")
    page = admin.get(f"{ROSTERS}{roster.pk}/change/").content.decode()
    assert "roster:incomplete" in page
    assert "row:key-malformed" in page
    assert "secret.person" not in page


def test_a_shrunk_roster_is_accepted_with_a_reason(admin: Client, ours: Scene) -> None:
    assert loaded(admin, ours, csv_of(ours, 20)).status == "complete"
    roster = loaded(admin, ours, csv_of(ours, 10))
    assert roster.code == "roster:shrunk"
    page = admin.get(f"{ROSTERS}{roster.pk}/change/").content.decode()
    assert f"{ROSTERS}{roster.pk}/accept/" in page
    assert "required" in admin.post(f"{ROSTERS}{roster.pk}/accept/", {"reason": ""}).content.decode()
    admin.post(f"{ROSTERS}{roster.pk}/accept/", {"reason": "The plant was sold."})
    roster.refresh_from_db()
    assert roster.status == "complete"
    told = AuditRecord.objects.get(object_id=roster.pk, reason="roster:accepted")
    assert (told.actor_kind, told.actor_id) == ("identity", str(ours.administrator.pk))


def test_a_draft_may_be_thrown_away(admin: Client, ours: Scene) -> None:
    uploaded(admin, ours, csv_of(ours))
    roster = latest()
    assert admin.post(f"{ROSTERS}{roster.pk}/discard/").status_code == 200, "without a reason"
    assert admin.post(f"{ROSTERS}{roster.pk}/discard/", {"reason": "Wrong file"}).status_code == 302
    assert not Roster.objects.filter(pk=roster.pk).exists()
    assert not RosterPart.objects.filter(roster_id=roster.pk).exists()


def test_a_list_tells_why(admin: Client, ours: Scene, theirs: Scene) -> None:
    loaded(admin, ours, "userName\na\na\n")
    page = admin.get(ROSTERS).content.decode()
    assert "more than once" in page
    assert f"{theirs.word}.csv" not in page
