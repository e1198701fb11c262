"""Directory groups: whole or not at all, and each write costs what it changes."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from identity_hub.core.clock import now
from provisioning.decision.types import Actor, GroupObservation, Intent, Verdict
from provisioning.models import DirectoryGroup, Entitlement, Finding, Identity, Membership
from provisioning.services import configuration, submit, submit_many
from provisioning.services.groups import submit_group

from ..cast import OPERATOR, House, push, pushed, user

pytestmark = pytest.mark.django_db


def group(where: House, intent: Intent, **said: Any) -> GroupObservation:
    return GroupObservation(
        intent=intent,
        tenant_id=where.tenant.pk,
        connection_id=where.connection.pk,
        at=now(),
        actor=Actor(kind="token", id="test"),
        **said,
    )


def test_a_member_is_added_once(acme: House) -> None:
    ada = push(acme, user("ada@acme.example", "e1"))
    made = submit_group(group(acme, Intent.CREATE, display_name="Staff", add=(ada.account_id,)))
    again = submit_group(group(acme, Intent.UPDATE, group_id=made.account_id, add=(ada.account_id,)))
    assert (made.reason, again.reason, again.version) == ("group:created", "group:unchanged", 1)
    assert Membership.objects.count() == 1


def test_an_unknown_member_refuses_the_whole_request(acme: House, globex: House) -> None:
    foreign = push(globex, user("eve@globex.example"))
    made = submit_group(group(acme, Intent.CREATE, display_name="Staff"))
    outcome = submit_group(
        group(
            acme,
            Intent.UPDATE,
            group_id=made.account_id,
            display_name="New",
            add=(foreign.account_id, uuid4()),
        )
    )
    assert (outcome.verdict, outcome.reason) == (Verdict.REFUSED, "group:member-unknown")
    assert DirectoryGroup.objects.get().display_name == "Staff"
    assert not Membership.objects.exists()


def test_a_connection_may_choose_to_skip_unknown_members(acme: House) -> None:
    ada = push(acme, user("ada@acme.example", "e1"))
    made = submit_group(
        group(acme, Intent.CREATE, display_name="Staff", add=(ada.account_id, uuid4())), skip_unknown=True
    )
    assert made.reason == "group:created"
    assert Membership.objects.count() == 1
    assert Finding.objects.get().kind == "group:member-unknown"


def test_a_member_that_is_named_again_is_asked_about_once_and_seen_again(acme: House) -> None:
    stranger = uuid4()
    made = submit_group(
        group(acme, Intent.CREATE, display_name="Staff", add=(stranger,), strangers=2), skip_unknown=True
    )
    again = group(acme, Intent.UPDATE, group_id=made.account_id, add=(stranger,), strangers=3)
    submit_group(again, skip_unknown=True)
    told = {**dict(Finding.objects.values_list("evidence__account", "seen_at"))}
    assert told == {str(stranger): again.at, None: again.at}
    assert Finding.objects.get(evidence__members="3")
    Finding.objects.update(status="rejected")
    submit_group(again, skip_unknown=True)
    assert set(Finding.objects.values_list("status", flat=True)) == {"rejected"}


def test_another_tenants_group_is_unknown(acme: House, globex: House) -> None:
    made = submit_group(group(acme, Intent.CREATE, display_name="Staff"))
    outcome = submit_group(group(globex, Intent.DELETE, group_id=made.account_id))
    assert outcome.reason == "group:unknown"
    assert DirectoryGroup.objects.filter(pk=made.account_id).exists()


def test_one_member_into_a_large_group_costs_what_one_into_an_empty_group_costs(acme: House) -> None:
    crowd = submit_many(
        [pushed(acme, Intent.CREATE, user(f"u{n}@acme.example", f"e{n}")) for n in range(400)]
    )
    large = submit_group(
        group(
            acme, Intent.CREATE, display_name="Large", add=tuple(o.account_id for o in crowd if o.account_id)
        )
    )
    small = submit_group(group(acme, Intent.CREATE, display_name="Small"))
    ada = push(acme, user("ada@acme.example"))

    def statements(group_id: Any) -> int:
        with CaptureQueriesContext(connection) as captured:
            submit_group(group(acme, Intent.UPDATE, group_id=group_id, add=(ada.account_id,)))
        return len(captured)

    assert statements(large.account_id) == statements(small.account_id)


def test_an_entitlement_lives_and_dies_with_the_membership_that_gives_it(acme: House) -> None:
    ada = push(acme, user("ada@acme.example", "e1"))
    made = submit_group(group(acme, Intent.CREATE, display_name="Admins", add=(ada.account_id,)))
    role = configuration.create_entitlement(
        tenant=acme.tenant, name="Administrator", actor=OPERATOR, reason="As agreed", grants_staff=True
    )
    assert not Identity.objects.get(pk=ada.identity_id).is_staff
    configuration.map_entitlement(
        entitlement=role,
        group=DirectoryGroup.objects.get(pk=made.account_id),
        actor=OPERATOR,
        reason="As agreed",
    )
    identity = Identity.objects.get(pk=ada.identity_id)
    assert identity.is_staff
    assert list(Entitlement.objects.of_identity(identity)) == [role]
    submit(pushed(acme, Intent.UPDATE, user("ada@acme.example", "e1", active=False), ada.account_id))
    assert not Identity.objects.get(pk=ada.identity_id).is_staff


def test_a_deleted_account_leaves_its_groups(acme: House) -> None:
    ada = push(acme, user("ada@acme.example", "e1"))
    submit_group(group(acme, Intent.CREATE, display_name="Staff", add=(ada.account_id,)))
    submit(pushed(acme, Intent.DELETE, account_id=ada.account_id))
    assert not Membership.objects.exists()
