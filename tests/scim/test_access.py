"""What a token may do and how often, as a client meets it over HTTP."""

import pytest
import time_machine
from django.http import HttpResponse
from django.test import Client

from identity_hub.core import allowance
from identity_hub.core.clock import now
from provisioning.models import Connection
from provisioning.services.tokens import issue_token
from tests.provisioning.cast import OPERATOR
from tests.scim.clients import GROUP_URN, PATCH_URN, USER_URN, Idp, error_of

pytestmark = pytest.mark.django_db


BODIES = {
    ("POST", "Users"): {"schemas": [USER_URN], "userName": "bob"},
    ("POST", "Groups"): {"schemas": [GROUP_URN], "displayName": "Staff"},
    ("PATCH", "Users"): {
        "schemas": [PATCH_URN],
        "Operations": [{"op": "replace", "path": "active", "value": False}],
    },
}


def ask(idp: Idp, method: str, path: str, *scopes: str) -> HttpResponse:
    """With a token of these scopes."""
    _, secret = issue_token(connection=idp.connection, actor=OPERATOR, reason="As agreed", scopes=scopes)
    body = BODIES.get((method, path.split("/")[1]))
    return idp.send(method, path, body, headers={"Authorization": f"Bearer {secret}"})


@pytest.mark.parametrize(
    ("method", "path", "scope", "needed"),
    [
        ("POST", "/Users", "read", "users"),
        ("PATCH", "/Users/{id}", "read", "users"),
        ("DELETE", "/Users/{id}", "groups", "users"),
        ("GET", "/Users/{id}", "groups", "read users"),
        ("GET", "/Users", "groups", "read users"),
        ("POST", "/Groups", "users", "groups"),
        ("GET", "/Groups", "users", "groups read"),
    ],
)
def test_a_token_without_the_scope_is_refused_and_changes_nothing(
    idp: Idp, method: str, path: str, scope: str, needed: str
) -> None:
    """RFC 7644 3.12: 403, "Operation is not permitted based on the supplied authorization"."""
    ada = idp.person("ada")
    answer = ask(idp, method, path.format(id=ada["id"]), scope)
    assert error_of(answer) == (403, None)
    # RFC 6750 3.1: insufficient_scope, with "the scope necessary to access the protected resource".
    assert f'error="insufficient_scope", scope="{needed}"' in answer["WWW-Authenticate"]
    assert idp.get(f"/Users/{ada['id']}").json() == ada
    assert idp.get("/Users").json()["totalResults"] == 1


@pytest.mark.parametrize("scope", ["read", "users", "groups"])
def test_every_token_reads_what_the_server_can(idp: Idp, scope: str) -> None:
    for path in ("/ServiceProviderConfig", "/ResourceTypes", "/Schemas"):
        assert ask(idp, "GET", path, scope).status_code == 200


def test_a_token_that_asks_too_often_is_told_when_to_come_back(idp: Idp) -> None:
    allowance.forget()
    Connection.objects.filter(pk=idp.connection.pk).update(requests_per_minute=3)
    with time_machine.travel(now().replace(second=48, microsecond=0), tick=False) as clock:
        assert [idp.get("/Users").status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = idp.post("/Users", {"schemas": [USER_URN], "userName": "ada"})
        assert error_of(refused) == (429, None)
        assert refused["Retry-After"] == "12"
        _, other = issue_token(connection=idp.connection, actor=OPERATOR, reason="As agreed")
        answer = Client().get("/scim/v2/Users", headers={"Authorization": f"Bearer {other}"})
        assert (answer.status_code, answer.json()["totalResults"]) == (200, 0)
        clock.shift(12)
        assert idp.get("/Users").status_code == 200


def test_a_token_learns_nothing_of_the_other_type(idp: Idp) -> None:
    """Neither from an answer nor from what a filter or an order makes of it."""
    ada = idp.person("ada")
    staff = idp.group("Staff", [ada["id"]])
    user, group = f"/Users/{ada['id']}", f"/Groups/{staff['id']}"
    named = f"{group}?attributes=members,members.display"

    assert "groups" not in ask(idp, "GET", user, "users").json()
    assert "groups" not in ask(idp, "GET", f"{user}?attributes=groups.display", "users").json()
    assert "groups" not in ask(idp, "PATCH", user, "users").json()
    for query in ("filter=groups.display+sw+%22S%22", "filter=groups+pr", "sortBy=groups.display"):
        assert ask(idp, "GET", f"/Users?{query}", "users").status_code == 400
    [member] = ask(idp, "GET", named, "groups").json()["members"]
    assert (member["value"], "display" in member) == (ada["id"], False)
    assert "members" not in ask(idp, "GET", f"{group}?attributes=members.display", "groups").json()
    for query in (
        "filter=members.display+sw+%22a%22",
        "filter=members%5Bdisplay+pr%5D",
        "sortBy=members.display",
    ):
        assert ask(idp, "GET", f"/Groups?{query}", "groups").status_code == 400
    guess = {"op": "remove", "path": 'members[display sw "a"]'}
    _, secret = issue_token(connection=idp.connection, actor=OPERATOR, reason="As agreed", scopes=("groups",))
    guessed = idp.patch(group, guess, headers={"Authorization": f"Bearer {secret}"})
    assert error_of(guessed) == (400, "invalidFilter")

    for scopes in (("read",), ("users", "groups")):
        assert ask(idp, "GET", user, *scopes).json()["groups"][0]["display"] == "Staff"
        assert ask(idp, "GET", named, *scopes).json()["members"][0]["display"] == "ada"
        assert ask(idp, "GET", "/Users?filter=groups.display+sw+%22S%22", *scopes).json()["totalResults"] == 1


@pytest.mark.parametrize("path", ["", "/"])
def test_the_root_answers_with_a_slash_and_without(idp: Idp, path: str) -> None:
    idp.person("ada")
    assert idp.get(path, filter='userName eq "ada"').json()["totalResults"] == 1


@pytest.mark.parametrize("path", ["/.SEARCH", "/.search/", "/users/.Search"])
def test_a_search_is_found_in_any_case(idp: Idp, path: str) -> None:
    idp.person("ada")
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": 'userName eq "ada"'}
    assert idp.post(path, body).json()["totalResults"] == 1
