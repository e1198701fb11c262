"""The provisioning log in the admin: by person and by outcome, because that is what is asked for first."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from identity_hub.core.clock import now
from provisioning.decision.types import Intent
from provisioning.models import AuditRecord, ScimRequest
from provisioning.models.requests import wording
from provisioning.request_log import Entry, flush, note
from provisioning.selectors import request_log
from provisioning.services import submit

from ..cast import pushed
from .scene import Scene, person

LOG = "/admin/provisioning/scimrequest/"


def entry(scene: Scene, **more: Any) -> Entry:
    facts: dict[str, Any] = {
        "tenant_id": scene.where.tenant.pk,
        "connection_id": scene.where.connection.pk,
        "token_id": scene.token.pk,
        "digest_key": bytes(scene.where.tenant.digest_key),
        "at": now(),
        "method": "POST",
        "action": "user.create",
        "status": 400,
        "scim_type": "invalidValue",
        "milliseconds": 1,
    }
    return Entry(**facts | more)


def shown(client: Client, **question: str) -> list[ScimRequest]:
    return list(client.get(LOG, question).context["cl"].result_list)


def test_a_person_is_found_by_every_key_that_a_request_named(
    admin: Client, ours: Scene, theirs: Scene
) -> None:
    domain = ours.where.domain
    note(
        entry(
            ours, keys=(("user_name", f"New@{domain}"), ("email", f"n.ew@{domain}"), ("external_id", "N-7"))
        )
    )
    made = ScimRequest.objects.latest("pk")
    for key in (f"new@{domain}", f" NEW@{domain} ", f"N.EW@{domain}", "N-7"):
        assert shown(admin, q=key) == [made], key
    assert shown(admin, q="n-7") == []
    assert shown(admin, q=f"ada@{theirs.where.domain}") == []
    assert shown(admin, q=theirs.request.request_id) == []


def test_the_list_by_id_and_by_code(admin: Client, ours: Scene) -> None:
    disabled = ScimRequest.objects.get(tenant_id=ours.where.tenant.pk, action="user.disable")
    account = ours.held.accounts.get()
    for key in (str(account.pk), str(ours.held.pk), disabled.request_id, "user.disable", "account:disabled"):
        assert shown(admin, q=key) == [disabled], key
    assert shown(admin, target_id=str(account.pk)) == [disabled]
    assert shown(admin, person=str(ours.held.pk)) == [disabled]
    assert shown(admin, person=str(uuid4())) == []
    assert shown(admin, person="nobody") == []


@pytest.mark.parametrize(
    ("question", "actions"),
    [
        ({"ended": "refused"}, ["user.create"]),
        ({"ended": "failed"}, []),
        ({"ended": "written"}, ["user.disable"]),
        ({"ended": "read"}, ["user.look-up"]),
        ({"did": "user.disable"}, ["user.disable"]),
        ({"answered": "409"}, ["user.create"]),
        ({"answered": "4x9"}, []),
        ({"type": "uniqueness"}, ["user.create"]),
        ({"within": "hour"}, ["user.create", "user.disable", "user.look-up"]),
        ({"within": "fortnight"}, []),
        ({"source": "{connection}"}, ["user.create", "user.disable", "user.look-up"]),
        ({"ended": "refused", "type": "uniqueness", "within": "day"}, ["user.create"]),
    ],
    ids=str,
)
def test_the_list_by_outcome(
    admin: Client, ours: Scene, question: dict[str, str], actions: list[str]
) -> None:
    note(entry(ours, method="POST", action="user.look-up", status=200, results=0))
    flush()
    asked = {name: value.format(connection=ours.where.connection.pk) for name, value in question.items()}
    assert {row.action for row in shown(admin, **asked)} == set(actions)


def test_the_page_of_a_refused_request(admin: Client, ours: Scene) -> None:
    page = admin.get(f"{LOG}{ours.request.pk}/change/").content.decode()
    assert "Another user of this connection has this userName." in page
    assert "409 uniqueness" in page
    assert str(ours.token) in page
    assert "&quot;userName&quot;: &quot;…&quot;" in page
    assert f"ada@{ours.where.domain}" not in page
    history = admin.get(f"{LOG}{ours.request.pk}/history/")
    assert history["Location"].endswith(f"?request_id={ours.request.request_id}")


def test_the_page_leads_to_what_the_request_changed(admin: Client, ours: Scene) -> None:
    account = ours.active.accounts.get()
    submit(
        pushed(
            ours.where,
            Intent.UPDATE,
            person(ours.where, "ada", "Ada", "Married", 1),
            account_id=account.pk,
            request_id="0123456789abcdef",
        )
    )
    note(
        entry(
            ours,
            method="PUT",
            action="user.replace",
            status=200,
            target_id=account.pk,
            request_id="0123456789abcdef",
        )
    )
    row = ScimRequest.objects.latest("pk")
    page = admin.get(f"{LOG}{row.pk}/change/").content.decode()
    record = AuditRecord.objects.get(request_id="0123456789abcdef")
    assert f"/admin/provisioning/auditrecord/{record.pk}/change/" in page
    assert f"/admin/provisioning/identity/{ours.active.pk}/change/" in page
    assert f"/admin/provisioning/account/{account.pk}/change/" in page


def test_an_identitys_page_shows_what_was_asked_about_the_person_in_vain_too(
    admin: Client, ours: Scene
) -> None:
    page = admin.get(f"/admin/provisioning/identity/{ours.active.pk}/change/").content.decode()
    assert f"{LOG}{ours.request.pk}/change/" in page
    assert f"{LOG}?person={ours.active.pk}" in page
    held = request_log.requests_about(ours.held)
    assert [row.action for row in held] == ["user.disable"]
    assert request_log.requests_about(ours.administrator) == []


def test_somebody_who_was_never_let_in_is_found_by_the_search_over_all_pages(
    admin: Client, ours: Scene
) -> None:
    key = f"new@{ours.where.domain}"
    note(entry(ours, keys=(("user_name", key),), detail="emails: these are more than 200 values."))
    made = ScimRequest.objects.latest("pk")
    response = admin.get("/admin/find/", {"q": key})
    assert (response.status_code, response["Location"]) == (302, f"{LOG}{made.pk}/change/")


def test_the_list_takes_no_count(admin: Client, ours: Scene, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(12) as queries:
        admin.get(LOG)
    assert not [
        query
        for query in queries.captured_queries
        if "COUNT" in query["sql"] and "scimrequest" in query["sql"]
    ]


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("user.look-up", "Look up users"),
        ("user.disable", "Disable user"),
        ("group.add-members", "Add members"),
        ("entitlement.list", "List entitlements"),
        ("bulk", "Bulk"),
        ("user.other", "User other"),
    ],
)
def test_an_action_in_words(action: str, words: str) -> None:
    assert wording(action) == words
