"""Who may ask at all: whoever has a valid token, and the refusal never says what was wrong with another."""

from typing import Any

import pytest
from django.test import Client

from identity_hub.core.clock import now
from provisioning.models import Account, Connection, DirectoryGroup, ScimToken
from provisioning.services.tokens import issue_token, revoke_token
from tests.provisioning.cast import OPERATOR
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
        lambda: Connection.objects.update(scim_enabled=False),
    ],
    ids=["expired", "revoked", "connection disabled", "SCIM switched off"],
)
def test_a_spoilt_token_is_no_token(idp: Idp, spoil: Any) -> None:
    """From the next request on, whatever it asks, and though the token was known a moment ago."""
    ada, staff = f"/Users/{idp.person('ada')['id']}", f"/Groups/{idp.group('Staff')['id']}"
    assert idp.get("/Users").status_code == 200
    spoil()
    rename = {"Operations": [{"op": "replace", "path": "displayName", "value": "X"}]}
    for method, path, body in (
        ("GET", "/Users", None),
        ("GET", ada, None),
        ("GET", "/Schemas", None),
        ("GET", "/ServiceProviderConfig", None),
        ("GET", "/", None),
        ("POST", "/.search", {}),
        ("POST", "/Users/.search", {}),
        ("POST", "/Users", {"userName": "bob"}),
        ("PUT", ada, {"userName": "bob"}),
        ("PATCH", ada, rename),
        ("PATCH", staff, rename),
        ("DELETE", ada, None),
        ("POST", "/Bulk", {"Operations": [{"method": "DELETE", "path": ada}]}),
    ):
        assert error_of(idp.send(method, path, body)) == (401, None), (method, path)
    assert list(Account.objects.values_list("user_name", "version", "deleted_at")) == [("ada", 1, None)]
    assert DirectoryGroup.objects.get().display_name == "Staff"


def test_a_frozen_connection_goes_on_deactivating_people(idp: Idp) -> None:
    """Its metadata is in doubt, which says nothing about who holds its token; nobody may stay because of it."""
    ada = f"/Users/{idp.person('ada')['id']}"
    Connection.objects.update(status="frozen")
    off = {"op": "replace", "path": "active", "value": False}
    assert idp.patch(ada, off).json()["active"] is False
    assert idp.get(ada).status_code == 200


def test_a_connection_has_several_tokens_and_one_ends_alone(idp: Idp) -> None:
    token, secret = issue_token(connection=idp.connection, actor=OPERATOR, reason="As agreed")
    another = {"Authorization": f"Bearer {secret}"}
    idp.person("ada")
    for headers in ({}, another):
        assert idp.send("GET", "/Users", headers=headers).json()["totalResults"] == 1
    revoke_token(token=token, actor=OPERATOR, reason="As agreed")
    assert idp.send("GET", "/Users", headers=another).status_code == 401
    assert idp.get("/Users").status_code == 200


def test_the_name_of_the_scheme_is_matched_without_case(idp: Idp) -> None:
    answer = Client().get("/scim/v2/Users", headers={"Authorization": f"bearer  {idp.token} "})
    assert answer.status_code == 200
