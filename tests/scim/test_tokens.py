"""Who may ask at all: whoever has a valid token, and the refusal never says what was wrong with another."""

from typing import Any

import pytest
from django.test import Client

from identity_hub.core.clock import now
from provisioning.models import Connection, ScimToken
from tests.scim.clients import Idp, error_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Basic YTpi",
        "Bearer \udcff",
        "Token x",
        "Bearer " + "x" * 9000,
    ],
)
def test_without_a_valid_token_nothing_is_shown(idp: Idp, authorization: str | None) -> None:
    """RFC 6750 3: a 401 names the scheme. It never says what was wrong with a token."""
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in (("GET", "/Users"), ("POST", "/Groups"), ("GET", "/Schemas"), ("POST", "/Bulk")):
        answer = Client().generic(method, f"/scim/v2{path}", headers=headers)
        assert error_of(answer) == (401, None)
        assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: ScimToken.objects.update(expires_at=now()),
        lambda: ScimToken.objects.update(revoked_at=now()),
        lambda: Connection.objects.update(status="disabled"),
        lambda: Connection.objects.update(status="frozen"),
        lambda: Connection.objects.update(scim_enabled=False),
    ],
    ids=["expired", "revoked", "connection disabled", "connection frozen", "SCIM switched off"],
)
def test_a_spoilt_token_is_no_token(idp: Idp, spoil: Any) -> None:
    assert idp.get("/Users").status_code == 200
    spoil()
    assert error_of(idp.get("/Users")) == (401, None)


def test_the_name_of_the_scheme_is_matched_without_case(idp: Idp) -> None:
    answer = Client().get("/scim/v2/Users", headers={"Authorization": f"bearer  {idp.token} "})
    assert answer.status_code == 200
