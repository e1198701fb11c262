"""/Me: a signed-in person reads her own resource; nobody changes anything through a cookie."""

from importlib import import_module
from typing import Any

import pytest
from django.conf import settings
from django.test import Client, RequestFactory

from provisioning.decision.types import Actor
from provisioning.models import Account
from provisioning.services import configuration, sessions
from tests.scim.clients import Idp, error_of

pytestmark = pytest.mark.django_db


def signed_in(idp: Idp, account_id: str) -> Client:
    """A browser with the session that a login through this connection opens."""
    account = Account.objects.get(pk=account_id)
    request = RequestFactory().get("/")
    request.session = import_module(settings.SESSION_ENGINE).SessionStore()
    assert sessions.open(
        request,
        connection=idp.connection,
        identity_id=account.identity_id,
        account_id=account.pk,
    )
    browser = Client(enforce_csrf_checks=True)
    browser.cookies[settings.SESSION_COOKIE_NAME] = request.session.session_key
    return browser


def test_a_person_reads_her_own_resource(idp: Idp, other: Idp) -> None:
    ada = idp.person("ada", title="C")
    idp.person("bob")
    other.person("ada")
    browser = signed_in(idp, ada["id"])
    answer = browser.get("/scim/v2/Me")
    assert answer.status_code == 200
    # RFC 7644 3.11: "the HTTP "Location" header MUST be the permanent location of the aliased resource"
    assert answer["Location"] == ada["meta"]["location"]
    assert answer.json() == ada
    assert browser.get("/scim/v2/Me?attributes=title").json() == {
        "schemas": ada["schemas"],
        "id": ada["id"],
        "title": "C",
    }


def test_a_person_sees_her_groups(idp: Idp) -> None:
    ada = idp.person("ada")
    staff = idp.group("Staff", [ada["id"]])
    idp.group("Crew", [idp.person("bob")["id"]])
    browser = signed_in(idp, ada["id"])
    shown = browser.get("/scim/v2/Me").json()
    assert shown["groups"] == [
        {
            "value": staff["id"],
            "display": "Staff",
            "type": "direct",
            "$ref": staff["meta"]["location"],
        }
    ]
    assert shown == idp.get(f"/Users/{ada['id']}").json()
    assert "groups" not in browser.get("/scim/v2/Me?excludedAttributes=groups").json()


def test_what_a_person_has_is_not_sent_again(idp: Idp) -> None:
    browser = signed_in(idp, idp.person("ada")["id"])
    version = browser.get("/scim/v2/Me")["ETag"]
    assert browser.get("/scim/v2/Me", headers={"If-None-Match": version}).status_code == 304
    assert browser.get("/scim/v2/Me", headers={"If-None-Match": 'W/"7"'}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_cookie_changes_nothing(idp: Idp, method: str) -> None:
    """A browser sends the cookie on anybody's behalf: a page of another site could change the person."""
    ada = idp.person("ada")
    answer = signed_in(idp, ada["id"]).generic(
        method, "/scim/v2/Me", data=b'{"userName": "eve"}', content_type="application/json"
    )
    assert error_of(answer) == (403, None)
    assert idp.get(f"/Users/{ada['id']}").json() == ada


@pytest.mark.parametrize("path", ["/Users", "/Groups", "/Schemas"])
def test_a_cookie_opens_nothing_else(idp: Idp, path: str) -> None:
    browser = signed_in(idp, idp.person("ada")["id"])
    assert error_of(browser.get(f"/scim/v2{path}")) == (401, None)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_nobody_is_not_signed_in(db: None, method: str) -> None:
    assert error_of(Client().generic(method, "/scim/v2/Me")) == (401, None)
    wrong: dict[str, Any] = {"headers": {"Authorization": "Bearer wrong"}}
    assert error_of(Client().generic(method, "/scim/v2/Me", **wrong)) == (401, None)


def test_a_token_is_nobody(idp: Idp) -> None:
    assert error_of(idp.get("/Me")) == (404, None)


def test_a_disabled_person_is_signed_out(idp: Idp) -> None:
    ada = idp.person("ada")
    browser = signed_in(idp, ada["id"])
    idp.patch(f"/Users/{ada['id']}", {"op": "replace", "path": "active", "value": False})
    assert error_of(browser.get("/scim/v2/Me")) == (401, None)


def test_a_local_administrator_has_no_resource(db: None) -> None:
    root = configuration.create_local_identity(
        login_name="root",
        password="a long password",
        actor=Actor(kind="command"),
        reason="As agreed",
        superuser=True,
    )
    browser = Client()
    browser.force_login(root)
    assert error_of(browser.get("/scim/v2/Me")) == (404, None)
