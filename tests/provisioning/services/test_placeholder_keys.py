"""Keys that a program writes for want of one: kept and served as they came, and nobody is recognised by them."""

from typing import Any

import pytest

from provisioning import reconciliation
from provisioning.decision.types import Intent
from provisioning.models import Account, Finding, Identity
from provisioning.reconciliation import ask_tenant
from provisioning.services import configuration, submit
from tests.scim.clients import ENTERPRISE_URN, USER_URN, Idp

from ..cast import OPERATOR, House, extend, push, pushed, sign_in, user

pytestmark = pytest.mark.django_db

PLACEHOLDERS = ["user.objectid", "NULL", "N/A", "0", "000-000", "undefined", "none", "-", "{{ user.id }}"]


def numbered(name: str, key: str, number: str, family: str) -> dict[str, Any]:
    named = {"givenName": name.partition("@")[0], "familyName": family}
    return user(
        name,
        key,
        schemas=[USER_URN, ENTERPRISE_URN],
        name=named,
        **{ENTERPRISE_URN: {"employeeNumber": number}},
    )


def trusting(*houses: House) -> None:
    for where in houses:
        configuration.change_connection(
            connection=where.connection,
            changes={"trusted_hr_number": True},
            actor=OPERATOR,
            reason="As agreed",
        )
        where.connection.refresh_from_db()


@pytest.mark.parametrize("key", PLACEHOLDERS)
def test_nobody_comes_back_by_a_key_that_says_nothing(acme: House, key: str) -> None:
    idp = Idp(where=acme)
    ada = idp.post("/Users", user("ada@acme.example", key)).json()
    gone = Account.objects.get(pk=ada["id"]).identity_id
    idp.delete(f"/Users/{ada['id']}")
    bob = idp.post("/Users", user("bob@acme.example", key))
    assert (bob.status_code, bob.json()["externalId"]) == (201, key)
    assert idp.get(f"/Users/{bob.json()['id']}").json()["externalId"] == key
    assert Account.objects.get(pk=bob.json()["id"]).identity_id not in (None, gone)
    # A second one of the same connection tells its administrator.
    assert idp.post("/Users", user("cyd@acme.example", key)).json()["scimType"] == "uniqueness"


def test_nobody_wakes_by_a_key_that_says_nothing(acme: House) -> None:
    ada = push(acme, user("ada@acme.example", "null"))
    submit(pushed(acme, Intent.DISABLE, account_id=ada.account_id))
    outcome = push(acme, user("bob@acme.example", "null", active=True))
    assert outcome.reason == "account:external-id-taken"
    assert Account.objects.get().user_name == "ada@acme.example"
    assert not Account.objects.get().active


@pytest.mark.parametrize("number", [*PLACEHOLDERS, "000000"])
def test_nobody_is_linked_by_an_hr_number_that_says_nothing(acme: House, number: str) -> None:
    okta = extend(acme.tenant, "Okta")
    trusting(acme, okta)
    ada, bob = Idp(where=acme), Idp(where=okta)
    one = ada.post("/Users", numbered("ada@acme.example", "e1", number, "Alpha"))
    other = bob.post("/Users", numbered("bob@okta.example", "o1", number, "Beta"))
    assert other.json()[ENTERPRISE_URN] == {"employeeNumber": number}
    accounts = Account.objects.filter(pk__in=[one.json()["id"], other.json()["id"]])
    assert len({account.identity_id for account in accounts} - {None}) == 2
    assert set(Identity.objects.values_list("hr_number", flat=True)) == {""}


def test_nobody_is_linked_by_night_by_an_hr_number_that_says_nothing(acme: House) -> None:
    okta = extend(acme.tenant, "Okta")
    push(acme, numbered("ada@acme.example", "e1", "N/A", "Alpha"))
    bob = push(okta, numbered("bob@okta.example", "o1", "N/A", "Beta"))
    trusting(acme, okta)
    run = reconciliation.execute(reconciliation.simulate(okta.connection, OPERATOR, reason="As agreed"))
    assert list(run.items.exclude(check_name="never-came")) == []
    assert bob.reason == "account:created"
    ask_tenant(acme.tenant.pk, run.simulated_at)
    assert not Finding.objects.filter(kind="identity:duplicate").exists()


def test_a_login_is_no_candidate_by_an_hr_number_that_says_nothing(acme: House) -> None:
    okta = extend(acme.tenant, "Okta")
    trusting(acme, okta)
    push(acme, numbered("ada@acme.example", "e1", "N/A", "Alpha"))
    outcome = sign_in(okta, "p-1")
    cyd = push(okta, numbered("cyd@okta.example", "o9", "n/a", "Gamma"))
    assert cyd.identity_id not in (None, outcome.identity_id)
