"""What the provisioning log is told of a call."""

from typing import Any
from uuid import uuid4

import pytest
from scim2_models.exceptions import InvalidFilterException

from identity_hub.core.clock import now
from provisioning.models import ScimRequest
from provisioning.selectors.tokens import connection_of, digest
from scim import log
from scim.calls import Answer, Call, Credential
from scim.errors import refusal

from ..provisioning.cast import House, house


@pytest.fixture
def acme(db: None) -> House:
    return house("acme")


def call(where: House, method: str, endpoint: str, **more: Any) -> Call:
    at = now()
    credential = Credential(digest(where.token), connection_of(where.token, at))
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
    asked.credential = Credential(b"nobody")
    log.note(asked, Answer(status=200), 1)
    assert not ScimRequest.objects.exists()
