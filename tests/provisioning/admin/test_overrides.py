"""The pages by which an administrator says what an identity shows, and how the identity's page tells it."""

from datetime import timedelta

import pytest
from django.test import Client

from identity_hub.core.clock import now
from provisioning.models import AuditRecord, Override

from .scene import Scene

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(ours: Scene) -> str:
    return f"/admin/provisioning/identity/{ours.active.pk}"


def said(**more: str) -> dict[str, str]:
    day = f"{now() + timedelta(days=20):%Y-%m-%d}"
    return {"attribute": "department", "value": "Sales", "until": day, "reason": "Moved on Monday"} | more


def test_an_attribute_is_overridden_until_the_end_of_a_day(admin: Client, ours: Scene, address: str) -> None:
    assert "Department" in admin.get(f"{address}/override/?attribute=department").content.decode()
    answer = admin.post(f"{address}/override/", said())
    assert answer.status_code == 302
    row = Override.objects.get(identity=ours.active, attribute="department")
    assert (row.value, row.until.hour, row.reason) == ("Sales", 23, "Moved on Monday")
    page = admin.get(f"{address}/change/").content.decode()
    for told in (
        "Sales",
        "“Moved on Monday”",
        f"Administrator of {ours.word}",
        "Overridden",
        "No source says",
    ):
        assert told in page
    ours.active.refresh_from_db()
    assert ours.active.department == "Sales"


UNFIT = {
    "without a reason": {"reason": " "},
    "without a value": {"value": ""},
    "of what is nobody's to override": {"attribute": "hr_number"},
    "of what is the person's": {"attribute": "locale"},
    "with an end that is past": {"until": "2000-01-01"},
    "for more than a year": {"until": "2999-01-01"},
    "without an end": {"until": ""},
    "with letters that turn around": {"value": "Sales\u202e"},
}


@pytest.mark.parametrize("unfit", UNFIT.values(), ids=UNFIT)
def test_it_is_asked_again(admin: Client, ours: Scene, address: str, unfit: dict[str, str]) -> None:
    assert admin.post(f"{address}/override/", said(**unfit)).status_code == 200
    assert not Override.objects.filter(identity=ours.active).exclude(attribute="title").exists()


def test_the_page_says_what_the_sources_say_and_ends_it(admin: Client, ours: Scene, address: str) -> None:
    admin.post(f"{address}/override/", said(attribute="family_name", value="Married"))
    page = admin.get(f"{address}/change/").content.decode()
    assert f"{ours.where.connection.name} says Active" in page
    end = f"{address}/end-override/family_name/"
    assert "Married" in admin.get(end).content.decode()
    assert admin.post(end, {"reason": ""}).status_code == 200
    assert admin.post(end, {"reason": "Mended there"}).status_code == 302
    ours.active.refresh_from_db()
    assert ours.active.family_name == "Active"
    assert admin.get(end).status_code == 404
    told = AuditRecord.objects.filter(identity_id=ours.active.pk, reason="identity:override-ended").get()
    assert told.actor_id == str(ours.administrator.pk)


def test_whoever_was_merged_away_is_overridden_no_more(admin: Client, ours: Scene) -> None:
    loser = ours.held
    type(loser).objects.filter(pk=loser.pk).update(merged_into=ours.active)
    address = f"/admin/provisioning/identity/{loser.pk}"
    assert admin.post(f"{address}/override/", said()).status_code == 404
    assert "Override an attribute" not in admin.get(f"{address}/change/").content.decode()


def test_staff_without_the_right_override_nobody(ours: Scene, theirs: Scene, address: str) -> None:
    client = Client()
    client.force_login(theirs.administrator)
    assert client.post(f"{address}/override/", said()).status_code == 404
    assert Client().post(f"{address}/override/", said()).status_code == 302
    assert not Override.objects.filter(attribute="department").exists()
