"""Why can this person not log in? One field, any key, the answer on the next page."""

import pytest
from django.test import Client

from provisioning.decision.types import Intent
from provisioning.models import AuditRecord
from provisioning.services import submit
from saml_sp.admin import reference_in

from ..cast import pushed
from .scene import Scene, person


@pytest.mark.parametrize(
    "key", ["userName", "part of a name", "e-mail", "id", "externalId", "request id", "former name"]
)
def test_one_hit_goes_straight_to_the_person(admin: Client, ours: Scene, key: str) -> None:
    where, held = ours.where, ours.held
    account = held.accounts.get()
    asked = {
        "userName": f"HAL@{where.domain}",
        "part of a name": f"Hal Held of {ours.word}",
        "e-mail": f"hal@{where.domain}",
        "id": str(held.pk),
        "externalId": f"{ours.word}-3",
        "request id": "0123456789abcdef",
        "former name": f"hal@{where.domain}",
    }[key]
    if key == "request id":
        submit(
            pushed(
                where,
                Intent.UPDATE,
                person(where, "hal", "Hal", "Held", 3, active=False, title="Pilot"),
                account_id=account.pk,
                request_id=asked,
            )
        )
        assert AuditRecord.objects.filter(request_id=asked, identity_id=held.pk).exists()
    if key == "former name":
        submit(
            pushed(
                where,
                Intent.UPDATE,
                person(where, "harold", "Hal", "Held", 3, active=False),
                account_id=account.pk,
            )
        )
    response = admin.get("/admin/find/", {"q": asked})
    assert response.status_code == 302
    assert response["Location"] == f"/admin/provisioning/identity/{held.pk}/change/"


def test_the_answer_says_what_keeps_out_since_when_and_by_whom(admin: Client, ours: Scene) -> None:
    page = admin.get(f"/admin/provisioning/identity/{ours.held.pk}/change/")
    text = page.content.decode()
    assert "Cannot sign in" in text
    assert "The directory switched the account off or deleted it." in text
    assert "Source: Main." in text
    # The refused login of the scene is told too.
    assert "The identity is held; a login never lifts a hold." in text
    answer = page.context["answer"]
    assert [cause.kind for cause in answer.causes] == ["scim"]
    text = admin.get(f"/admin/provisioning/identity/{ours.security.pk}/change/").content.decode()
    assert f"Stolen laptop, {ours.word}" in text
    assert f"Administrator of {ours.word}" in text


def test_the_timeline_tells_changes_with_their_values(admin: Client, ours: Scene) -> None:
    where = ours.where
    account = ours.active.accounts.get()
    submit(
        pushed(
            where,
            Intent.UPDATE,
            person(where, "ada", "Ada", "Married", 1),
            account_id=account.pk,
        )
    )
    page = admin.get(f"/admin/provisioning/identity/{ours.active.pk}/change/").context
    told = [shown.entry for shown in page["entries"]]
    assert told[0].reason == "account:updated"
    assert ("identity family_name", "Active", "Married") in told[0].lines
    assert [entry.at for entry in told] == sorted((entry.at for entry in told), reverse=True)


def test_a_reference_leads_to_the_exact_reason(admin: Client, ours: Scene) -> None:
    response = admin.get("/admin/find/", {"q": ours.attempt.reference.lower().replace("-", "")}, follow=True)
    text = response.content.decode()
    assert "Audience foreign" in text
    assert f"https://other.example/{ours.word}" in text


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("abcde-12345", "ABCDE-12345"),
        (" ABCDE12345 ", "ABCDE-12345"),
        ("ABODE-I234L", "AB0DE-12341"),
        ("ada@acme.example", None),
        ("", None),
    ],
)
def test_a_reference_is_read_as_people_type_it(typed: str, meant: str | None) -> None:
    assert reference_in(typed) == meant


def test_an_account_that_waits_for_its_link_is_found(admin: Client, ours: Scene) -> None:
    page = admin.get("/admin/find/", {"q": f"ada@{ours.where.domain}"}).content.decode()
    assert "Waits for its link" in page
    assert f"Ada Active of {ours.word}" in page


@pytest.mark.parametrize("key", ["", "   ", "nobody at all", "a\x00b", "%", "'; --", "x" * 5000])
def test_what_finds_nobody_is_an_answer_too(admin: Client, ours: Scene, key: str) -> None:
    for address in ("/admin/find/", "/admin/search/"):
        assert admin.get(address, {"q": key, "s": key}).status_code == 200
