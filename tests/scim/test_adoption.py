"""When SCIM meets somebody whom a login made first: the same account, the same id."""

from typing import Any

import pytest

from provisioning.decision.types import Outcome
from provisioning.models import Account, Identity
from provisioning.services import configuration
from tests.provisioning.cast import OPERATOR, sign_in
from tests.scim.clients import Idp, an_idp

pytestmark = pytest.mark.django_db


@pytest.fixture
def idp(db: None) -> Idp:
    tenant = configuration.create_tenant(
        slug="acme", name="Acme", actor=OPERATOR, reason="As agreed", domains=["x.example"]
    )
    return an_idp(tenant.slug, jit="create")


def login(idp: Idp, user_name: str, name_id: str) -> Outcome:
    return sign_in(idp.where, name_id, user_name=user_name, email="ada@x.example")


@pytest.fixture
def ada(idp: Idp) -> str:
    outcome = login(idp, "ada", "7")
    assert outcome.created, outcome
    return str(outcome.account_id)


def test_a_login_is_visible_to_its_own_idps_look_up(idp: Idp, other: Idp, ada: str) -> None:
    found = idp.find("/Users", 'userName eq "ADA"')
    assert [person["id"] for person in found] == [ada]
    assert found[0]["name"] == {"givenName": "Ada", "familyName": "Example"}
    assert "externalId" not in found[0], "a key is never invented"
    assert other.find("/Users", 'userName eq "ada"') == []


BODIES: dict[str, dict[str, Any]] = {
    "by its name": {"userName": "ada", "externalId": "e-7"},
    "by its key": {"userName": "ada.lovelace", "externalId": "7"},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_post_adopts(idp: Idp, ada: str, body: dict[str, Any]) -> None:
    answer = idp.post("/Users", body)
    assert answer.status_code == 201
    assert (answer.json()["id"], answer.json()["userName"]) == (ada, body["userName"])
    assert answer["Location"].endswith(f"/Users/{ada}")
    assert Account.objects.count() == Identity.objects.count() == 1


def test_look_up_and_patch_adopts(idp: Idp, ada: str) -> None:
    answer = idp.patch(f"/Users/{ada}", {"op": "add", "value": {"externalId": "7", "title": "C"}})
    assert (answer.status_code, answer.json()["externalId"]) == (200, "7")
    assert Account.objects.get().confirmed_at is not None


def test_a_login_made_account_can_be_deleted(idp: Idp, ada: str) -> None:
    assert idp.delete(f"/Users/{ada}").status_code == 204
    assert idp.get(f"/Users/{ada}").status_code == 404


def test_a_login_made_account_can_be_disabled(idp: Idp, ada: str) -> None:
    answer = idp.patch(f"/Users/{ada}", {"op": "replace", "path": "active", "value": False})
    assert (answer.status_code, answer.json()["active"]) == (200, False)
    assert login(idp, "ada", "7").reason == "login:identity-held"
