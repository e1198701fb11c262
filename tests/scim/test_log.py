"""What the provisioning log is told of a call."""

from contextlib import suppress
from typing import Any
from uuid import uuid4

import orjson
import pytest
from scim2_models.exceptions import InvalidFilterException

from identity_hub.core.clock import now
from provisioning.models import ScimRequest, ScimToken
from provisioning.request_log import flush
from provisioning.selectors.tokens import connection_of, digest
from scim import log
from scim.calls import Answer, Call, Credential
from scim.errors import refusal

from ..provisioning.cast import House, house
from .clients import PATCH_URN, USER_URN, Idp


@pytest.fixture
def acme(db: None) -> House:
    return house("acme")


def call(where: House, method: str, endpoint: str, **more: Any) -> Call:
    at = now()
    credential = Credential(digest(where.token), lambda: "192.0.2.1", connection_of(where.token, at))
    return Call(
        method=method, endpoint=endpoint, credential=credential, at=at, request_id="request-0001", **more
    )


def test_a_refused_write_tells_its_reason_and_its_target(acme: House) -> None:
    target = uuid4()
    body = {"userName": "ada@acme.example"}
    log.note(
        call(acme, "PUT", "/Users", resource_id=str(target), sent=body),
        refusal("account:user-name-taken"),
        1.5,
    )
    row = ScimRequest.objects.get()
    assert (row.action, row.status, row.scim_type, row.reason) == (
        "user.replace",
        409,
        "uniqueness",
        "account:user-name-taken",
    )
    assert (row.tenant_id, row.connection_id, row.target_id) == (acme.tenant.pk, acme.connection.pk, target)
    assert (row.body, len(row.digests), row.milliseconds) == ({"userName": "…"}, 1, 1.5)


def test_a_filter_that_was_refused_is_shown_without_its_values(acme: House) -> None:
    asked = {"filter": 'userName eq "ada" and nick eq "lovelace"'}
    refused = InvalidFilterException(detail="nick: the User schema has no such attribute.")
    log.note(call(acme, "GET", "/Users", parameters=asked), refused, 1)
    row = ScimRequest.objects.get()
    assert (row.action, row.status, row.scim_type) == ("user.look-up", 400, "invalidFilter")
    assert row.detail == refused.detail
    assert "ada" not in str(row.body) + row.detail
    assert "lovelace" not in str(row.body)


def test_an_answer_tells_what_it_was_about(acme: House) -> None:
    target = uuid4()
    log.note(
        call(acme, "POST", "/Users", sent={}),
        Answer(status=201, target_id=target, reason="account:created"),
        1,
    )
    log.note(call(acme, "DELETE", "/Users", resource_id=str(target)), Answer(status=204), 1)
    rows = ScimRequest.objects.order_by("pk")
    assert [(row.action, row.status, row.reason, row.target_id) for row in rows] == [
        ("user.create", 201, "account:created", target),
        ("user.delete", 204, "", target),
    ]


def test_a_token_that_is_nobodys_is_not_logged(acme: House) -> None:
    asked = call(acme, "GET", "/Users")
    asked.credential = Credential(digest("nobody"), lambda: "192.0.2.1")
    log.note(asked, Answer(status=200), 1)
    assert not ScimRequest.objects.exists()


def rows() -> list[tuple[str, int, str]]:
    flush()
    return list(ScimRequest.objects.order_by("pk").values_list("action", "status", "scim_type"))


def test_every_request_of_a_client_is_on_record(idp: Idp) -> None:
    made = idp.send("POST", "/Users", {"schemas": [USER_URN], "userName": "ada@acme.example"})
    ada = orjson.loads(made.content)["id"]
    idp.send("POST", "/Users", {"schemas": [USER_URN], "userName": "ADA@acme.example"})
    idp.send("GET", "/Users", query={"filter": 'userName eq "ada@acme.example"'})
    idp.send("GET", "/Users", query={"filter": "nonsense"})
    off = {"schemas": [PATCH_URN], "Operations": [{"op": "Replace", "path": "active", "value": "False"}]}
    idp.send("PATCH", f"/Users/{ada}", off)
    idp.send("GET", "/ServiceProviderConfig")
    idp.send("DELETE", f"/Users/{uuid4()}")
    idp.send("POST", "/Users", raw=b"{")
    idp.send("GET", "/Users", headers={"Authorization": "Bearer nobody's"})
    assert sorted(rows()) == sorted(
        [
            ("user.create", 201, ""),
            ("user.create", 409, "uniqueness"),
            ("user.look-up", 200, ""),
            ("user.look-up", 400, "invalidFilter"),
            ("user.disable", 200, ""),
            ("discovery", 200, ""),
            ("user.delete", 404, ""),
            ("user.create", 400, "invalidSyntax"),
        ]
    )
    token = ScimToken.objects.get(connection=idp.connection)
    for row in ScimRequest.objects.all():
        assert (row.tenant_id, row.connection_id, row.token_id) == (
            idp.tenant_id,
            idp.connection.pk,
            token.pk,
        )
        assert row.milliseconds > 0
    about = ScimRequest.objects.filter(target_id=ada).values_list("action", "reason")
    assert ("user.create", "account:created") in about
    assert ("user.disable", "account:disabled") in about
    assert ScimRequest.objects.get(action="user.create", status=409).reason == "account:user-name-taken"
    told = repr(list(ScimRequest.objects.values_list("detail", "body", "digests")))
    assert "ada" not in told.lower()


def test_what_fails_in_a_bulk_request_has_a_line_of_its_own(idp: Idp) -> None:
    person = {"schemas": [USER_URN], "userName": "ada@acme.example"}
    missing = str(uuid4())
    idp.send(
        "POST",
        "/Bulk",
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": [
                {"method": "POST", "path": "/Users", "bulkId": "a", "data": person},
                {"method": "POST", "path": "/Users", "bulkId": "b", "data": person},
                {"method": "DELETE", "path": f"/Users/{missing}"},
                {"method": "POST", "path": "/Users", "bulkId": "c", "data": person | {"userName": "b"}},
            ],
        },
    )
    assert rows() == [("bulk", 200, ""), ("user.create", 409, "uniqueness"), ("user.delete", 404, "")]
    whole, taken, gone = ScimRequest.objects.order_by("pk")
    assert (whole.results, len(whole.digests), len(taken.digests)) == (4, 2, 1)
    assert set(taken.digests) < set(whole.digests)
    assert str(gone.target_id) == missing
    assert whole.request_id == taken.request_id == gone.request_id
    assert taken.detail


def test_a_failure_of_the_hub_is_on_record_and_stays_one(idp: Idp, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Answer:
        raise ZeroDivisionError

    monkeypatch.setattr("scim.users.Users.create", fail)
    with suppress(ZeroDivisionError):
        assert idp.send("POST", "/Users", {"userName": "ada"}).status_code == 500
    assert rows() == [("user.create", 500, "")]
    assert len(ScimRequest.objects.get().digests) == 1


def test_an_address_where_nothing_is_is_on_record(idp: Idp) -> None:
    assert idp.send("GET", "/User/ada.lovelace").status_code == 404
    assert idp.send("GET", "/User", headers={"Authorization": "Bearer nobody's"}).status_code == 404
    assert rows() == [("unknown", 404, "")]


def test_a_write_that_was_refused_unread_is_found_by_whom_it_names(idp: Idp) -> None:
    idp.send("PUT", f"/Users/{uuid4()}", {"userName": "ada"})
    row = ScimRequest.objects.get()
    assert (row.status, row.body, len(row.digests)) == (404, {"userName": "…"}, 1)


def test_a_bulk_id_and_an_odd_method_are_not_told(idp: Idp) -> None:
    operations = [
        {"method": "PATCH", "path": "/Users/bulkId:ada.lovelace", "data": {}},
        {"method": "ADA", "path": "/Users"},
    ]
    idp.send("POST", "/Bulk", {"Operations": operations})
    found = list(ScimRequest.objects.filter(status__gte=400).order_by("pk").values_list("method", "detail"))
    assert found[0] == ("PATCH", "bulkId:…: no POST has this bulkId.")
    assert found[1][0] == ""
