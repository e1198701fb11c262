"""Groups that logins bring: what they give, to whom, and when they give nothing."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from provisioning.decision.types import Actor, HoldKind, Intent
from provisioning.models import (
    Account,
    AssertedGroup,
    AuditRecord,
    AuditValue,
    Connection,
    DirectoryGroup,
    Entitlement,
    Identity,
)
from provisioning.selectors import entitlements, groups
from provisioning.services import configuration, people, submit
from provisioning.services.configuration import Invalid
from provisioning.services.groups import submit_group

from ..cast import OPERATOR, House, extend, house, push, pushed, sign_in, user
from .test_groups import group

pytestmark = pytest.mark.django_db

KEY = {"external_id": "e1"}


@pytest.fixture
def corp(db: None) -> House:
    return house("corp", group_attribute="groups")


def allow(where: House, value: str = "Staff", name: str = "Reader", **more: Any) -> Entitlement:
    entitlement = Entitlement.objects.filter(
        tenant=where.tenant, name=name
    ).first() or configuration.create_entitlement(
        tenant=where.tenant, name=name, actor=OPERATOR, reason="As agreed", **more
    )
    configuration.allow_group(
        connection=where.connection, value=value, entitlement=entitlement, actor=OPERATOR, reason="asked"
    )
    return entitlement


def change(where: House, **changes: Any) -> None:
    where.connection.refresh_from_db()
    configuration.change_connection(
        connection=where.connection, changes=changes, actor=OPERATOR, reason="As agreed"
    )


def person(where: House) -> Identity:
    return Identity.objects.get(tenant=where.tenant)


def held(where: House) -> list[str]:
    return [entitlement.name for entitlement in Entitlement.objects.of_identity(person(where))]


def delivered(where: House, *values: str) -> UUID:
    """Ada, whom SCIM delivered and who then signed in with these groups; her account."""
    ada = push(where, user("ada@corp.example", "e1"))
    sign_in(where, "p-1", groups=values, **KEY)
    assert ada.account_id is not None
    return ada.account_id


def test_whoever_brings_a_group_of_the_list_holds_its_entitlement(corp: House) -> None:
    allow(corp)
    allow(corp, "Staff", "Writer")
    allow(corp, "Admins", "Administrator")
    delivered(corp, "Staff", "Works council")
    assert held(corp) == ["Reader", "Writer"]
    assert groups.of_identity(tenant_id=corp.tenant.pk, identity_id=person(corp).pk) == ["Staff"]


@pytest.mark.parametrize("brought", [(), ("staff",), ("Staff of another house",)])
def test_a_login_without_it_takes_the_entitlement_away(corp: House, brought: tuple[str, ...]) -> None:
    allow(corp)
    delivered(corp, "Staff")
    sign_in(corp, "p-1", groups=brought, **KEY)
    assert held(corp) == []
    assert groups.of_identity(tenant_id=corp.tenant.pk, identity_id=person(corp).pk) == []


def test_a_value_counts_from_the_first_login_after_it_was_allowed(corp: House) -> None:
    delivered(corp, "Staff")
    allow(corp)
    assert held(corp) == []
    sign_in(corp, "p-1", groups=("Staff",), **KEY)
    assert held(corp) == ["Reader"]


NOT_ANY_MORE: dict[str, Callable[[House, UUID], Any]] = {
    "the value is off the list": lambda where, account: configuration.disallow_group(
        row=AssertedGroup.objects.get(), actor=OPERATOR, reason="As agreed"
    ),
    "the account is inactive": lambda where, account: submit(
        pushed(where, Intent.UPDATE, user("ada@corp.example", "e1", active=False), account)
    ),
    "the account is deleted": lambda where, account: submit(pushed(where, Intent.DELETE, account_id=account)),
    "the account is not linked any more": lambda where, account: Account.objects.update(
        identity=None, link_rule=""
    ),
    "the connection has no group attribute": lambda where, account: change(where, group_attribute=""),
    "SCIM manages groups of the connection": lambda where, account: submit_group(
        group(where, Intent.CREATE, display_name="Anything")
    ),
}


@pytest.mark.parametrize("what", NOT_ANY_MORE)
def test_it_gives_nothing_when(corp: House, what: str) -> None:
    allow(corp)
    account = delivered(corp, "Staff")
    assert held(corp) == ["Reader"]
    assert [one.why_not for one in groups.brought_by(person(corp))] == [""]
    NOT_ANY_MORE[what](corp, account)
    assert held(corp) == []
    # Of an account that is deleted or somebody else's nothing is told at all.
    assert all(one.why_not for one in groups.brought_by(person(corp)))


def test_groups_that_scim_manages_at_another_connection_change_nothing(corp: House) -> None:
    allow(corp)
    delivered(corp, "Staff")
    submit_group(group(extend(corp.tenant, "Other"), Intent.CREATE, display_name="Anything"))
    assert held(corp) == ["Reader"]


def test_both_sources_give_together(corp: House) -> None:
    allow(corp)
    delivered(corp, "Staff")
    other = extend(corp.tenant, "Other", trusted_hr_number=True)
    again = push(other, user("ada@corp.example"))
    Account.objects.filter(pk=again.account_id).update(identity=person(corp), link_rule="0-explicit")
    made = submit_group(group(other, Intent.CREATE, display_name="Board", add=(again.account_id,)))
    writer = configuration.create_entitlement(
        tenant=corp.tenant, name="Writer", actor=OPERATOR, reason="As agreed"
    )
    configuration.map_entitlement(
        entitlement=writer,
        group=DirectoryGroup.objects.get(pk=made.account_id),
        actor=OPERATOR,
        reason="As agreed",
    )
    assert held(corp) == ["Reader", "Writer"]
    assert groups.of_identity(tenant_id=corp.tenant.pk, identity_id=person(corp).pk) == ["Board", "Staff"]


@pytest.mark.parametrize("unconfirmed", [False, True])
def test_of_an_account_that_only_a_login_made_they_count_where_the_connection_says_so(
    corp: House, unconfirmed: bool
) -> None:
    change(corp, groups_unconfirmed=unconfirmed)
    allow(corp)
    sign_in(corp, "p-1", groups=("Staff",), **KEY)
    assert held(corp) == (["Reader"] if unconfirmed else [])
    push(corp, user("ada@corp.example", "e1"))
    assert held(corp) == ["Reader"]


def test_they_may_let_somebody_administer_by_a_superusers_word_only(corp: House) -> None:
    role = configuration.create_entitlement(
        tenant=corp.tenant, name="Administrator", grants_staff=True, actor=OPERATOR, reason="As agreed"
    )
    tenants_own = configuration.create_local_identity(
        login_name="mia",
        password="correct horse battery",
        tenant=corp.tenant,
        tenant_administrator=True,
        actor=OPERATOR,
        reason="As agreed",
    )
    said = {"connection": corp.connection, "value": "Admins", "entitlement": role}
    with pytest.raises(Invalid):
        configuration.allow_group(
            **said, actor=Actor(kind="identity", id=str(tenants_own.pk)), reason="As agreed"
        )
    push(corp, user("ada@corp.example", "e1"))
    configuration.allow_group(**said, actor=OPERATOR, reason="As agreed")
    sign_in(corp, "p-1", groups=("Admins",), **KEY)
    ada = Identity.objects.get(email="ada@corp.example")
    assert ada.is_staff
    sign_in(corp, "p-1", groups=("Staff",), **KEY)
    assert not Identity.objects.get(pk=ada.pk).is_staff


def test_a_held_person_is_nobody_whatever_she_brings(corp: House) -> None:
    allow(corp)
    delivered(corp, "Staff")
    people.place_hold(identity=person(corp), kind=HoldKind.SECURITY, reason="lost", actor=OPERATOR)
    outcome = sign_in(corp, "p-1", groups=("Staff", "Admins"), **KEY)
    assert outcome.reason == "login:identity-held"
    assert Account.objects.get().assertion["groups"] == ["Staff"]


def test_the_list_belongs_to_its_connection_and_tenant(corp: House, globex: House) -> None:
    allow(corp)
    theirs = configuration.create_entitlement(
        tenant=globex.tenant, name="Theirs", actor=OPERATOR, reason="As agreed"
    )
    with pytest.raises(Invalid):
        configuration.allow_group(
            connection=corp.connection, value="Staff", entitlement=theirs, actor=OPERATOR, reason="As agreed"
        )
    Connection.objects.update(group_attribute="groups")
    push(globex, user("eve@globex.example", "e9"))
    sign_in(globex, "p-9", groups=("Staff",), external_id="e9")
    assert held(globex) == []


def test_a_scim_client_sees_no_group_that_logins_bring(corp: House) -> None:
    allow(corp)
    delivered(corp, "Staff")
    assert not DirectoryGroup.objects.exists()
    assert "groups" not in Account.objects.get().resource
    said = {"tenant_id": corp.tenant.pk, "connection_id": corp.connection.pk}
    assert entitlements.kinds_mapped(**said) == frozenset()


def test_the_audit_says_who_allowed_what_and_which_groups_came(corp: House) -> None:
    allow(corp)
    configuration.allow_group(
        connection=corp.connection,
        value=" Staff ",
        entitlement=Entitlement.objects.get(),
        actor=OPERATOR,
        reason="As agreed",
    )
    row = AssertedGroup.objects.get()
    allowed = AuditRecord.objects.get(reason="entitlement:group-allowed")
    assert (allowed.object_id, allowed.connection_id) == (row.pk, corp.connection.pk)
    assert AuditValue.objects.get(pk=allowed.pk).values == {"reason": "asked"}
    delivered(corp, "Staff", "Works council")
    told = AuditRecord.objects.get(reason="login:account-bound")
    assert "assertion.groups" in told.changes[0]["attributes"]
    assert "Staff" not in str(told.changes)
    aside = AuditValue.objects.get(pk=told.pk).values["UpdateAccount"]
    assert (aside["before"], aside["after"]) == ({"groups": []}, {"groups": ["Staff"]})
    configuration.disallow_group(row=AssertedGroup.objects.get(), actor=OPERATOR, reason="over")
    assert AuditRecord.objects.filter(reason="entitlement:group-disallowed", object_id=row.pk).exists()


@pytest.mark.parametrize("value", ["", "   ", "x" * 513])
def test_no_value_is_no_group(corp: House, value: str) -> None:
    with pytest.raises(Invalid):
        allow(corp, value)
