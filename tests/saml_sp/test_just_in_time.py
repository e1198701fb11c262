"""What a first login may do, and what its groups give, over HTTP."""

import pytest

from provisioning.models import Account, Connection, Entitlement, Identity
from provisioning.services import configuration
from tests.provisioning.cast import OPERATOR

from .parties import Browser

MAIL = {"email": ["ada@corp.example"]}


def allow(connection: Connection, value: str) -> Entitlement:
    entitlement = configuration.create_entitlement(
        tenant=connection.tenant, name=f"Role of {value}", actor=OPERATOR
    )
    configuration.allow_group(connection=connection, value=value, entitlement=entitlement, actor=OPERATOR)
    return entitlement


ENTRA_GROUPS = "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"


@pytest.mark.parametrize(
    ("configured", "sent"),
    [("groups", "groups"), ("Groups", "groups"), (ENTRA_GROUPS, ENTRA_GROUPS)],
    ids=["by its name", "by its name in another case", "as Entra names it"],
)
def test_groups_of_the_assertion_give_what_the_allow_list_says(
    browser: Browser, connection: Connection, configured: str, sent: str
) -> None:
    configuration.change_connection(
        connection=connection,
        changes={"group_attribute": configured, "groups_unconfirmed": True},
        actor=OPERATOR,
    )
    entitlement = allow(connection, "Staff")
    browser.sign_in(attributes=MAIL | {sent: ["Works council", "Staff"]})
    identity = Identity.objects.get()
    assert list(Entitlement.objects.of_identity(identity)) == [entitlement]
    assert browser.me().json()["groups"] == ["Staff"]
    assert Account.objects.get().assertion["groups"] == ["Staff"]
    browser.sign_in(attributes=MAIL)
    assert not Entitlement.objects.of_identity(identity).exists()
    assert browser.me().json()["groups"] == []


def test_nobody_has_a_privilege_by_an_attribute_that_nobody_configured(
    browser: Browser, connection: Connection
) -> None:
    allow(connection, "Staff")
    browser.sign_in(attributes=MAIL | {"groups": ["Staff"], "memberOf": ["Staff"], "role": ["Staff"]})
    identity = Identity.objects.get()
    assert not Entitlement.objects.of_identity(identity).exists()
    assert not identity.is_staff
    assert "groups" not in Account.objects.get().assertion
