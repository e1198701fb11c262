"""What a look at the stored facts asks a person: each kind of case with its opposite, and when it closes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection as database
from django.db import connections
from django.test.utils import CaptureQueriesContext

from identity_hub.core.clock import now
from provisioning import reconciliation, tasks
from provisioning.decision.reasons import Act, FindingKind
from provisioning.decision.types import Actor, HoldKind, Intent
from provisioning.models import (
    Account,
    AuditRecord,
    Connection,
    Distinction,
    Entitlement,
    EntitlementMapping,
    Finding,
    Hold,
    Identity,
    Membership,
    OutboxMessage,
    Roster,
    RosterSource,
)
from provisioning.reconciliation import ask_tenant
from provisioning.reconciliation.doubts import OF_CONNECTION, OF_TENANT
from provisioning.services import (
    configuration,
    findings,
    linking,
    people,
    questions,
    roster_sources,
    submit,
    tokens,
)

from ..admin.scene import group_of
from ..cast import OPERATOR, House, extend, push, pushed, sign_in, user
from ..services.test_findings import administrator, weak_match

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tokenless")]

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
LONG = timedelta(days=200)


def look(where: House) -> dict[str, int]:
    """Kind -> how many findings of it are open after a look."""
    ask_tenant(where.tenant.pk, now())
    kinds = [row.kind for row in (*OF_TENANT, *OF_CONNECTION)]
    opened = Finding.objects.filter(tenant=where.tenant, status="open", kind__in=kinds)
    return {kind: opened.filter(kind=kind).count() for kind in set(opened.values_list("kind", flat=True))}


def age(where: House, by: timedelta = LONG) -> None:
    """Everything that is stored was stored so long ago."""
    for model, columns in (
        (Account, ("created_at", "last_login_at")),
        (Identity, ("created_at", "last_login")),
        (Connection, ("last_push_at",)),
        (Hold, ("placed_at",)),
    ):
        for row in model.objects.filter(tenant=where.tenant):
            model.objects.filter(pk=row.pk).update(
                **{c: getattr(row, c) - by for c in columns if getattr(row, c) is not None}
            )


def person(where: House, who: str, key: str, **more: Any) -> dict[str, Any]:
    return user(f"{who}@{where.domain}", key, **more)


def two_of_one(acme: House) -> tuple[Any, Any]:
    """One person whom two IdPs delivered, with one HR number that nobody trusted: two identities."""
    other = extend(acme.tenant, "Other")
    hr = {ENTERPRISE: {"employeeNumber": "7"}}
    one = push(acme, person(acme, "ada", "e1", **hr))
    two = push(other, user("a.lovelace", "x1", emails=[], name={"givenName": "Ada"}))
    account = Account.objects.get(pk=two.account_id)
    account.resource |= {"emails": [{"value": f"ada@{acme.domain}"}], **hr}
    account.email_keys = [f"ada@{acme.domain}"]
    account.save()
    return one, two


# A case of each kind, told to a house; what is made here and nothing else opens its finding.


def a_duplicate(acme: House) -> None:
    two_of_one(acme)


def an_orphan_of_a_disabled_connection(acme: House) -> None:
    push(acme, person(acme, "ada", "e1"))
    Connection.objects.filter(pk=acme.connection.pk).update(status="disabled")


def an_orphan_of_whom_nothing_was_heard(acme: House) -> None:
    push(acme, person(acme, "ada", "e1"))
    age(acme)
    Connection.objects.update(stale_push_days=0)


def an_orphan_without_account(acme: House) -> None:
    outcome = push(acme, person(acme, "ada", "e1"))
    submit(pushed(acme, Intent.DELETE, account_id=outcome.account_id))
    Hold.objects.all().delete()


def an_account_of_nobody(acme: House) -> None:
    finding = weak_match(acme)
    Finding.objects.filter(pk=finding.pk).update(status="approved")
    Account.objects.filter(pk=finding.account_id).update(email_keys=[], resource={"userName": "ada.l"})


def a_dormant_account(acme: House) -> None:
    push(acme, person(acme, "ada", "e1"))
    sign_in(acme, "e1", email=f"ada@{acme.domain}")
    age(acme)
    Connection.objects.update(last_push_at=now())


def a_state_conflict(acme: House) -> None:
    two = extend(acme.tenant, "Other", trusted_hr_number=True)
    hr = {ENTERPRISE: {"employeeNumber": "7"}}
    push(acme, person(acme, "ada", "e1", **hr))
    outcome = push(two, person(acme, "ada", "x1", **hr))
    submit(pushed(two, Intent.DISABLE, account_id=outcome.account_id, active=False))


def linked_twice(acme: House, **second: Any) -> None:
    two = extend(acme.tenant, "Other", trusted_hr_number=True)
    hr = {ENTERPRISE: {"employeeNumber": "7"}, "userType": "Employee"}
    push(acme, person(acme, "ada", "e1", **hr))
    push(two, person(acme, "ada", "x1", **(hr | second)))


def an_attribute_conflict(acme: House) -> None:
    linked_twice(acme, userType="Contractor")


def entitled(acme: House, *accounts: Any) -> Any:
    group = group_of(acme, "Engineering", list(accounts))
    entitlement = configuration.create_entitlement(
        tenant=acme.tenant, name="Developer", actor=OPERATOR, reason="As agreed"
    )
    configuration.map_entitlement(entitlement=entitlement, group=group, actor=OPERATOR, reason="As agreed")
    return group


def a_held_member(acme: House) -> None:
    outcome = push(acme, person(acme, "ada", "e1"))
    entitled(acme, outcome.account_id)
    identity = Identity.objects.get(pk=outcome.identity_id)
    people.place_hold(identity=identity, kind=HoldKind.ADMIN, reason="left", actor=OPERATOR)
    Hold.objects.update(placed_at=now() - LONG)


def groups_of_logins(acme: House) -> Any:
    configuration.change_connection(
        connection=acme.connection, changes={"group_attribute": "groups"}, actor=OPERATOR, reason="As agreed"
    )
    entitlement = configuration.create_entitlement(
        tenant=acme.tenant, name="Board", actor=OPERATOR, reason="As agreed"
    )
    configuration.allow_group(
        connection=acme.connection, value="Board", entitlement=entitlement, actor=OPERATOR, reason="As agreed"
    )
    outcome = push(acme, person(acme, "ada", "e1"))
    sign_in(acme, "e1", email=f"ada@{acme.domain}", groups=("Board",))
    return outcome


def a_drifting_group(acme: House) -> None:
    groups_of_logins(acme)
    group_of(acme, "Engineering", [])


def an_entitlement_without_group(acme: House) -> None:
    configuration.create_entitlement(tenant=acme.tenant, name="Developer", actor=OPERATOR, reason="As agreed")


def an_entitlement_of_an_empty_group(acme: House) -> None:
    entitled(acme)


def an_ownerless_token(acme: House) -> None:
    owner = administrator(acme)
    tokens.issue_token(
        connection=acme.connection, actor=Actor(kind="identity", id=str(owner.pk)), reason="As agreed"
    )
    people.place_hold(identity=owner, kind=HoldKind.ADMIN, reason="left", actor=OPERATOR)


def a_token_that_a_command_issued(acme: House) -> None:
    tokens.issue_token(connection=acme.connection, actor=OPERATOR, reason="As agreed")


def a_client_that_a_command_made(acme: House) -> None:
    tokens.create_client(connection=acme.connection, actor=OPERATOR, reason="As agreed")


def an_ownerless_client(acme: House) -> None:
    owner = administrator(acme)
    tokens.create_client(
        connection=acme.connection, actor=Actor(kind="identity", id=str(owner.pk)), reason="As agreed"
    )
    people.place_hold(identity=owner, kind=HoldKind.ADMIN, reason="left", actor=OPERATOR)


def an_ownerless_local_identity(acme: House) -> None:
    owner, made = administrator(acme), administrator(acme, "second")
    Identity.objects.filter(pk=made.pk).update(owner=owner)
    people.place_hold(identity=owner, kind=HoldKind.ADMIN, reason="left", actor=OPERATOR)


def a_service_identity_whose_owner_left(acme: House) -> None:
    owner = administrator(acme)
    Identity.objects.create(tenant=acme.tenant, kind="service", local=True, login_name="robot", owner=owner)
    people.place_hold(identity=owner, kind=HoldKind.ADMIN, reason="left", actor=OPERATOR)


def a_service_identity_of_nobody(acme: House) -> None:
    Identity.objects.create(tenant=acme.tenant, kind="service", local=True, login_name="robot")


def a_stale_connection(acme: House) -> None:
    push(acme, person(acme, "ada", "e1"))
    Connection.objects.filter(tenant=acme.tenant).update(last_push_at=now() - timedelta(days=31))


def a_connection_that_never_pushed(acme: House) -> None:
    Connection.objects.filter(tenant=acme.tenant).update(created_at=now() - timedelta(days=31))


def an_overdue_listing(acme: House) -> None:
    source = roster_sources.keep_source(
        connection=acme.connection,
        actor=OPERATOR,
        reason="As agreed",
        fields={"kind": "scim", "base_address": "https://idp.example", "scheduled": True},
        secret="token",
    )
    RosterSource.objects.filter(pk=source.pk).update(scheduled_at=now() - timedelta(days=4))


def a_privileged_role(acme: House) -> None:
    push(acme, person(acme, "ada", "e1", roles=[{"value": "Global Administrator"}]))


def a_privileged_group(acme: House) -> None:
    outcome = push(acme, person(acme, "ada", "e1"))
    group_of(acme, "Domain Admins", [outcome.account_id])


def a_placeholder_for_a_key(acme: House) -> None:
    push(acme, person(acme, "ada", "user.objectid"))
    push(acme, person(acme, "bob", "e2"))


def a_placeholder_for_an_hr_number(acme: House) -> None:
    push(acme, person(acme, "ada", "e1", **{ENTERPRISE: {"employeeNumber": "{{employeeNumber}}"}}))
    push(acme, person(acme, "bob", "e2", **{ENTERPRISE: {"employeeNumber": "100"}}))


def a_token_with_an_owner(acme: House) -> None:
    owner = administrator(acme)
    tokens.issue_token(
        connection=acme.connection, actor=Actor(kind="identity", id=str(owner.pk)), reason="As agreed"
    )


def what_somebody_left_out_of_a_run(acme: House) -> None:
    a_token_with_an_owner(acme)
    sign_in(acme, "p-1", at=now() - timedelta(days=30))
    run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
    reconciliation.leave_out(run, reconciliation.Choice(destructive=True), OPERATOR, "on leave")
    reconciliation.execute(run)


K = FindingKind
CASES: list[tuple[Callable[[House], None], FindingKind]] = [
    (a_duplicate, K.DUPLICATE_IDENTITIES),
    (an_orphan_of_a_disabled_connection, K.ORPHAN_IDENTITY),
    (an_orphan_of_whom_nothing_was_heard, K.ORPHAN_IDENTITY),
    (an_orphan_without_account, K.ORPHAN_IDENTITY),
    (an_account_of_nobody, K.ORPHAN_ACCOUNT),
    (a_dormant_account, K.DORMANT),
    (a_state_conflict, K.STATES_DIFFER),
    (an_attribute_conflict, K.ATTRIBUTE_CONFLICT),
    (a_held_member, K.HELD_KEEPS_GROUPS),
    (a_drifting_group, K.GROUPS_DIFFER),
    (an_entitlement_without_group, K.ENTITLEMENT_UNREACHABLE),
    (an_entitlement_of_an_empty_group, K.ENTITLEMENT_UNREACHABLE),
    (an_ownerless_token, K.OWNERLESS),
    (a_token_that_a_command_issued, K.OWNERLESS),
    (an_ownerless_client, K.OWNERLESS),
    (a_client_that_a_command_made, K.OWNERLESS),
    (an_ownerless_local_identity, K.OWNERLESS),
    (a_service_identity_whose_owner_left, K.OWNERLESS),
    (a_service_identity_of_nobody, K.OWNERLESS),
    (a_stale_connection, K.CONNECTION_STALE),
    (a_connection_that_never_pushed, K.CONNECTION_STALE),
    (an_overdue_listing, K.LISTING_OVERDUE),
    (a_privileged_role, K.PRIVILEGED_UNMAPPED),
    (a_privileged_group, K.PRIVILEGED_UNMAPPED),
    (a_placeholder_for_a_key, K.PLACEHOLDER_KEYS),
    (a_placeholder_for_an_hr_number, K.PLACEHOLDER_KEYS),
    (what_somebody_left_out_of_a_run, K.LEFT_OUT),
]


@pytest.mark.parametrize(("case", "kind"), CASES, ids=[case.__name__.replace("_", " ") for case, _ in CASES])
def test_a_case_is_asked_once_and_of_its_own_tenant(
    acme: House, globex: House, case: Callable[[House], None], kind: FindingKind
) -> None:
    case(acme)
    assert look(acme) == {kind: 1}
    finding = Finding.objects.get(kind=kind)
    assert (finding.status, finding.seen_at is not None) == ("open", True)
    assert acme.domain not in str(finding.evidence)  # ids and kinds, and nothing that names anybody
    assert look(acme) == {kind: 1}
    assert look(globex) == {}
    findings.decide(finding=finding, approve=False, reason="meant", actor=OPERATOR)
    assert look(acme) == {}


def test_every_doubt_has_a_case() -> None:
    assert {kind for _, kind in CASES} == {row.kind for row in (*OF_TENANT, *OF_CONNECTION)}


def test_nothing_is_asked_about_people_who_are_as_they_should_be(acme: House) -> None:
    outcome = push(acme, person(acme, "ada", "e1"))
    push(acme, person(acme, "bob", "e2"))
    sign_in(acme, "e1", email=f"ada@{acme.domain}")
    entitled(acme, outcome.account_id)
    a_token_with_an_owner(acme)
    assert look(acme) == {}


def test_a_case_that_has_gone_is_closed_with_its_reason_and_asked_again_when_it_returns(acme: House) -> None:
    a_stale_connection(acme)
    look(acme)
    push(acme, person(acme, "bob", "e2"))
    assert look(acme) == {}
    finding = Finding.objects.get(kind="connection:stale")
    assert (finding.status, finding.decided_by, finding.decision_reason) == (
        "obsolete",
        "schedule:",
        "The case has gone.",
    )
    Connection.objects.update(last_push_at=now() - timedelta(days=40))
    assert look(acme) == {"connection:stale": 1}


def told(where: House, connection: str, **more: Any) -> None:
    """What the document of a connection's only account says from now on."""
    account = Account.objects.get(tenant=where.tenant, connection__name=connection)
    account.resource |= more
    account.save()


def a_conflict_of_roles(acme: House) -> None:
    linked_twice(acme)
    told(acme, "Main", roles=[{"value": "Global Administrator"}])
    told(acme, "Other", roles=[])


def a_conflict_of_hr_numbers(acme: House) -> None:
    linked_twice(acme)
    told(acme, "Other", **{ENTERPRISE: {"employeeNumber": "8"}})


def a_conflict_of_e_mails(acme: House) -> None:
    linked_twice(acme, emails=[{"value": "ada@elsewhere.example"}])


def one_more_role(acme: House) -> None:
    told(acme, "Main", roles=[{"value": "Global Administrator"}, {"value": "Site Owner"}])


def the_role_said_by_the_other_source(acme: House) -> None:
    told(acme, "Main", roles=[])
    told(acme, "Other", roles=[{"value": "Global Administrator"}])


def a_third_hr_number(acme: House) -> None:
    told(acme, "Other", **{ENTERPRISE: {"employeeNumber": "9"}})


def a_third_user_type(acme: House) -> None:
    told(acme, "Other", userType="Guest")


def an_hr_number_beside_the_user_type(acme: House) -> None:
    told(acme, "Other", **{ENTERPRISE: {"employeeNumber": "8"}})


def another_e_mail(acme: House) -> None:
    Account.objects.filter(connection__name="Other").update(email_keys=["ada@third.example"])


def another_group_of_the_held_member(acme: House) -> None:
    account = Account.objects.get()
    group = group_of(acme, "Board", [account.pk])
    entitlement = configuration.create_entitlement(
        tenant=acme.tenant, name="Administrator", actor=OPERATOR, reason="As agreed"
    )
    configuration.map_entitlement(entitlement=entitlement, group=group, actor=OPERATOR, reason="As agreed")


def the_group_gives_more(acme: House) -> None:
    Entitlement.objects.update(grants_staff=True)


def let_in_and_held_again(acme: House) -> None:
    Hold.objects.update(placed_at=now() - timedelta(days=40))


def allowed_group(acme: House, value: str) -> None:
    entitlement = configuration.create_entitlement(
        tenant=acme.tenant, name=f"Role {value}", actor=OPERATOR, reason="As agreed"
    )
    configuration.allow_group(
        connection=acme.connection, value=value, entitlement=entitlement, actor=OPERATOR, reason="As agreed"
    )


def a_login_brings_another_group(acme: House) -> None:
    allowed_group(acme, "Admins")
    sign_in(acme, "e1", email=f"ada@{acme.domain}", groups=("Board", "Admins"))


def scim_has_another_group(acme: House) -> None:
    allowed_group(acme, "Admins")
    group_of(acme, "Admins", [Account.objects.get().pk])


def a_third_source_is_inactive(acme: House) -> None:
    three = extend(acme.tenant, "Third", trusted_hr_number=True)
    outcome = push(three, person(acme, "ada", "y1", **{ENTERPRISE: {"employeeNumber": "7"}}))
    submit(pushed(three, Intent.DISABLE, account_id=outcome.account_id, active=False))


def a_push_and_another_silence(acme: House) -> None:
    Connection.objects.update(last_push_at=now() - timedelta(days=100))


def an_account_that_came_and_ended_again(acme: House) -> None:
    outcome = push(acme, person(acme, "ada", "e1"))
    submit(pushed(acme, Intent.DELETE, account_id=outcome.account_id, at=now() + timedelta(minutes=1)))
    Hold.objects.all().delete()


def the_owner_came_back_and_left_again(acme: House) -> None:
    owner = Identity.objects.get(login_name="root-acme")
    Hold.objects.filter(identity=owner).update(placed_at=now() - timedelta(days=1))


def it_administers_by_now(acme: House) -> None:
    Identity.objects.filter(kind="service").update(is_tenant_administrator=True)


def the_group_is_gone(acme: House) -> None:
    EntitlementMapping.objects.all().delete()


def linked_and_taken_off_again(acme: House) -> None:
    account = Account.objects.get(connection__name="Other")
    assert account.identity_id  # whoever says "nobody known" makes a person of it
    linking.unlink(account=account, reason="not hers", actor=OPERATOR)


def another_privileged_role(acme: House) -> None:
    push(acme, person(acme, "bob", "e2", roles=[{"value": "Site Owner"}]))


def another_privileged_group(acme: House) -> None:
    group_of(acme, "Owners", [Account.objects.get().pk])


def another_placeholder_for_a_key(acme: House) -> None:
    push(acme, person(acme, "cyd", "N/A"))


def the_opposite_state_conflict(acme: House) -> None:
    for account in Account.objects.filter(tenant=acme.tenant):
        Account.objects.filter(pk=account.pk).update(active=not account.active)


def the_connection_disabled(acme: House) -> None:
    Connection.objects.filter(pk=acme.connection.pk).update(status="disabled")


def a_login_and_another_silence(acme: House) -> None:
    Account.objects.update(last_login_at=now() - timedelta(days=190))


@pytest.mark.parametrize(
    ("dismissed", "then", "kind"),
    [
        (a_privileged_role, another_privileged_role, K.PRIVILEGED_UNMAPPED),
        (a_privileged_group, another_privileged_group, K.PRIVILEGED_UNMAPPED),
        (a_placeholder_for_a_key, another_placeholder_for_a_key, K.PLACEHOLDER_KEYS),
        (a_state_conflict, the_opposite_state_conflict, K.STATES_DIFFER),
        (an_orphan_of_whom_nothing_was_heard, the_connection_disabled, K.ORPHAN_IDENTITY),
        (an_orphan_of_whom_nothing_was_heard, a_push_and_another_silence, K.ORPHAN_IDENTITY),
        (an_orphan_without_account, an_account_that_came_and_ended_again, K.ORPHAN_IDENTITY),
        (an_account_of_nobody, linked_and_taken_off_again, K.ORPHAN_ACCOUNT),
        (a_dormant_account, a_login_and_another_silence, K.DORMANT),
        (a_state_conflict, a_third_source_is_inactive, K.STATES_DIFFER),
        (a_conflict_of_roles, one_more_role, K.ATTRIBUTE_CONFLICT),
        (a_conflict_of_roles, the_role_said_by_the_other_source, K.ATTRIBUTE_CONFLICT),
        (a_conflict_of_hr_numbers, a_third_hr_number, K.ATTRIBUTE_CONFLICT),
        (a_conflict_of_e_mails, another_e_mail, K.ATTRIBUTE_CONFLICT),
        (an_attribute_conflict, a_third_user_type, K.ATTRIBUTE_CONFLICT),
        (an_attribute_conflict, an_hr_number_beside_the_user_type, K.ATTRIBUTE_CONFLICT),
        (a_held_member, another_group_of_the_held_member, K.HELD_KEEPS_GROUPS),
        (a_held_member, the_group_gives_more, K.HELD_KEEPS_GROUPS),
        (a_held_member, let_in_and_held_again, K.HELD_KEEPS_GROUPS),
        (a_drifting_group, a_login_brings_another_group, K.GROUPS_DIFFER),
        (a_drifting_group, scim_has_another_group, K.GROUPS_DIFFER),
        (an_entitlement_of_an_empty_group, the_group_is_gone, K.ENTITLEMENT_UNREACHABLE),
        (an_ownerless_token, the_owner_came_back_and_left_again, K.OWNERLESS),
        (a_service_identity_whose_owner_left, it_administers_by_now, K.OWNERLESS),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)).replace("_", " "),
)
def test_no_case_is_silenced_by_what_was_said_of_another(
    acme: House, dismissed: Callable[[House], None], then: Callable[[House], None], kind: FindingKind
) -> None:
    dismissed(acme)
    look(acme)
    findings.decide(finding=Finding.objects.get(kind=kind), approve=False, reason="meant", actor=OPERATOR)
    assert kind not in look(acme)
    then(acme)
    assert look(acme)[kind] == 1


def dismissed(acme: House, kind: FindingKind, *, approve: bool = False) -> Finding:
    look(acme)
    finding = Finding.objects.get(kind=kind, status="open")
    findings.decide(finding=finding, approve=approve, reason="meant", actor=OPERATOR)
    return finding


def the_sources_swap_their_values(acme: House) -> None:
    told(acme, "Main", **{ENTERPRISE: {"employeeNumber": "8"}})
    told(acme, "Other", **{ENTERPRISE: {"employeeNumber": "7"}})


def two_privileged_roles(acme: House) -> None:
    a_conflict_of_roles(acme)
    one_more_role(acme)


def one_of_the_roles(acme: House) -> None:
    told(acme, "Main", roles=[{"value": "site owner"}, {"value": "Reader"}])


def two_privileged_roles_unmapped(acme: House) -> None:
    push(acme, person(acme, "ada", "e1", roles=[{"value": "Global Administrator"}, {"value": "Site Owner"}]))


def one_of_them(acme: House) -> None:
    account = Account.objects.get()
    account.resource |= {"roles": [{"value": "Site Owner"}]}
    account.save()


def a_member_of_two_groups_is_held(acme: House) -> None:
    a_held_member(acme)
    another_group_of_the_held_member(acme)


def one_of_its_groups_is_left(acme: House) -> None:
    Membership.objects.filter(group__display_name="Engineering").delete()


def the_group_gives_less(acme: House) -> None:
    Entitlement.objects.update(grants_staff=False)


def a_held_member_of_administrators(acme: House) -> None:
    a_held_member(acme)
    the_group_gives_more(acme)


def two_drifting_groups(acme: House) -> None:
    a_drifting_group(acme)
    a_login_brings_another_group(acme)


def one_of_the_groups_is_pushed(acme: House) -> None:
    group_of(acme, "Board", [Account.objects.get().pk])


def three_states(acme: House) -> None:
    a_state_conflict(acme)
    a_third_source_is_inactive(acme)


def one_source_less(acme: House) -> None:
    Account.objects.filter(connection__name="Third").update(deleted_at=now())


@pytest.mark.parametrize(
    ("case", "then", "kind"),
    [
        (a_conflict_of_hr_numbers, the_sources_swap_their_values, K.ATTRIBUTE_CONFLICT),
        (two_privileged_roles, one_of_the_roles, K.ATTRIBUTE_CONFLICT),
        (two_privileged_roles_unmapped, one_of_them, K.PRIVILEGED_UNMAPPED),
        (a_member_of_two_groups_is_held, one_of_its_groups_is_left, K.HELD_KEEPS_GROUPS),
        (a_held_member_of_administrators, the_group_gives_less, K.HELD_KEEPS_GROUPS),
        (two_drifting_groups, one_of_the_groups_is_pushed, K.GROUPS_DIFFER),
        (three_states, one_source_less, K.STATES_DIFFER),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)).replace("_", " "),
)
def test_what_is_less_than_what_was_dismissed_stays_answered(
    acme: House, case: Callable[[House], None], then: Callable[[House], None], kind: FindingKind
) -> None:
    case(acme)
    dismissed(acme, kind)
    then(acme)
    assert kind not in look(acme)


class TestCasesOfSeveralParts:
    KIND = K.ATTRIBUTE_CONFLICT

    def test_only_what_is_new_is_asked_about(self, acme: House) -> None:
        an_attribute_conflict(acme)
        dismissed(acme, self.KIND)
        told(acme, "Other", name={"givenName": "Ada", "familyName": "King"})
        look(acme)
        finding = Finding.objects.get(kind=self.KIND, status="open")
        assert (finding.severity, finding.evidence["attributes"]) == ("low", ["family_name"])

    def test_the_answers_to_several_cases_hold_for_all_of_them_together(self, acme: House) -> None:
        an_attribute_conflict(acme)
        dismissed(acme, self.KIND)
        told(acme, "Other", userType="Employee", **{ENTERPRISE: {"employeeNumber": "8"}})
        dismissed(acme, self.KIND)
        told(acme, "Other", userType="Contractor")
        assert self.KIND not in look(acme)

    def test_what_was_dealt_with_is_asked_again_as_a_whole_after_three_months(self, acme: House) -> None:
        an_attribute_conflict(acme)
        finding = dismissed(acme, self.KIND, approve=True)
        assert self.KIND not in look(acme)
        Finding.objects.filter(pk=finding.pk).update(decided_at=now() - timedelta(days=91))
        assert look(acme)[self.KIND] == 1

    def test_an_open_finding_follows_its_parts_and_keeps_its_owner(self, acme: House) -> None:
        an_attribute_conflict(acme)
        look(acme)
        finding = Finding.objects.get(kind=self.KIND)
        owner = administrator(acme)
        findings.assign(finding=finding, owner=owner, actor=OPERATOR, reason="my week")
        an_hr_number_beside_the_user_type(acme)
        look(acme)
        finding.refresh_from_db()
        assert (finding.status, finding.owner_id, finding.severity) == ("open", owner.pk, "high")
        assert finding.evidence["attributes"] == ["hr_number", "user_type"]
        # It has become grave, and is told at once like one that is new.
        assert OutboxMessage.objects.filter(
            topic="finding.opened", payload={"finding": str(finding.pk)}
        ).exists()
        findings.decide(finding=finding, approve=False, reason="meant", actor=OPERATOR)
        assert self.KIND not in look(acme)

    def test_an_open_finding_closes_where_only_what_was_answered_is_left(self, acme: House) -> None:
        an_attribute_conflict(acme)
        dismissed(acme, self.KIND)
        an_hr_number_beside_the_user_type(acme)
        assert look(acme)[self.KIND] == 1
        told(acme, "Other", **{ENTERPRISE: {"employeeNumber": "7"}})
        assert self.KIND not in look(acme)
        assert set(Finding.objects.filter(kind=self.KIND).values_list("status", flat=True)) == {
            "rejected",
            "obsolete",
        }

    def test_parts_are_digests_with_the_tenant_s_key(self, acme: House, globex: House) -> None:
        for where in (acme, globex):
            a_conflict_of_roles(where)
            look(where)
        kept = dict(Finding.objects.filter(kind=self.KIND).values_list("tenant__slug", "parts"))
        assert {len(part) for parts in kept.values() for part in parts} == {32}
        assert not set(kept["acme"]) & set(kept["globex"])

    def test_a_pair_that_was_dealt_with_is_asked_about_when_more_speaks_for_it(self, acme: House) -> None:
        two_of_one(acme)
        account = Account.objects.get(user_name="a.lovelace")
        hr, account.resource = account.resource, {}
        account.save()
        dismissed(acme, K.DUPLICATE_IDENTITIES, approve=True)
        assert K.DUPLICATE_IDENTITIES not in look(acme)
        account.resource = hr
        account.save()
        assert look(acme)[K.DUPLICATE_IDENTITIES] == 1


def test_more_people_with_the_role_that_was_dismissed_are_the_same_case(acme: House) -> None:
    a_privileged_role(acme)
    look(acme)
    findings.decide(finding=Finding.objects.get(), approve=False, reason="meant", actor=OPERATOR)
    push(acme, person(acme, "bob", "e2", roles=[{"value": "global administrator"}]))
    assert look(acme) == {}


def test_what_the_schedule_opens_and_closes_stands_in_the_audit(acme: House) -> None:
    def told() -> list[tuple[str, str, str, list[Any]]]:
        rows = AuditRecord.objects.filter(reason__in=["finding:opened", "finding:gone"]).order_by("pk")
        return [(row.reason, row.actor_kind, row.intent, row.changes) for row in rows]

    a_stale_connection(acme)
    look(acme)
    finding = Finding.objects.get(kind="connection:stale")
    named = [{"change": "findings", "kind": "connection:stale", "findings": [str(finding.pk)]}]
    opened = ("finding:opened", "schedule", "open", named)
    look(acme)
    assert told() == [opened]
    push(acme, person(acme, "bob", "e2"))
    look(acme)
    assert told() == [opened, ("finding:gone", "schedule", "close", named)]


def test_a_row_of_the_audit_names_a_thousand_findings_of_one_kind(acme: House) -> None:
    many = [("account:dormant", uuid4()) for _ in range(2100)]
    questions.record(acme.tenant.pk, Act.FINDING_OPENED, [*many, ("connection:stale", uuid4())], now())
    rows = AuditRecord.objects.filter(reason="finding:opened").order_by("pk")
    told = [(row.changes[0]["kind"], len(row.changes[0]["findings"])) for row in rows]
    assert told == [
        ("account:dormant", 1000),
        ("account:dormant", 1000),
        ("account:dormant", 100),
        ("connection:stale", 1),
    ]


def test_what_was_dealt_with_and_is_still_there_is_asked_again_after_three_months(acme: House) -> None:
    a_privileged_role(acme)
    look(acme)
    findings.decide(finding=Finding.objects.get(), approve=True, reason="told them", actor=OPERATOR)
    assert look(acme) == {}
    Finding.objects.update(decided_at=now() - timedelta(days=91))
    assert look(acme) == {"connection:privileged-unmapped": 1}


def test_what_has_lost_its_owner_is_asked_about_with_a_date_and_goes_on_meanwhile(acme: House) -> None:
    """Row 34: a deadline, and no hold. What is the owner's own ends at once."""
    a_service_identity_whose_owner_left(acme)
    assert look(acme) == {K.OWNERLESS: 1}
    robot, owner = Identity.objects.get(kind="service"), Identity.objects.get(login_name="root-acme")
    finding = Finding.objects.with_due().get(kind=K.OWNERLESS)
    assert (finding.identity_id, finding.evidence["owner"]) == (robot.pk, str(owner.pk))
    assert finding.due == finding.opened_at + timedelta(days=14)
    enabled = Identity.objects.with_state().filter(enabled=True)
    assert list(enabled.values_list("pk", flat=True)) == [robot.pk]
    Identity.objects.filter(pk=robot.pk).update(owner=administrator(acme, "second"))
    assert look(acme) == {}, "somebody answers for it again"


def test_a_finding_follows_its_case(acme: House) -> None:
    """The owner and the date stay; how grave it is and what speaks for it are those of today."""
    two_of_one(acme)
    look(acme)
    finding = Finding.objects.get(kind="identity:duplicate")
    assert finding.evidence == {
        "score": 100,
        "evidence": ["same-hr-number", "same-owned-email"],
    }
    assert finding.severity == "medium"
    until = now() + timedelta(days=30)
    findings.postpone(finding=finding, due_at=until, actor=OPERATOR, reason="asked her manager")
    account = Account.objects.get(user_name="a.lovelace")
    account.resource |= {ENTERPRISE: {"employeeNumber": "8"}}
    account.email_keys = []
    account.save()
    Identity.objects.filter(pk=account.identity_id).update(user_name=f"ada@{acme.domain}")
    look(acme)
    finding.refresh_from_db()
    assert (finding.status, finding.due_at) in (("obsolete", until), ("open", until))


def a_quiet_source(acme: House, days: int) -> None:
    push(acme, person(acme, "ada", "e1"))
    age(acme, timedelta(days=days))
    Connection.objects.update(stale_push_days=0)


def a_member_held_for(acme: House, days: int) -> None:
    a_held_member(acme)
    Hold.objects.update(placed_at=now() - timedelta(days=days))


def two_who_signed_in(acme: House, days: int) -> None:
    """One who signs in today and one who did so then: together they speak against a pair of 35 points."""
    _, two = two_of_one(acme)
    Account.objects.update(
        resource={}, email_keys=[], user_name="ada.l", user_name_key="ada.l", last_login_at=now()
    )
    Identity.objects.update(hr_number="", email="", given_name="", family_name="", user_name="ada.l")
    Account.objects.filter(pk=two.account_id).update(last_login_at=now() - timedelta(days=days))


@pytest.mark.parametrize(
    ("case", "kind", "days", "asked"),
    [
        pytest.param(a_quiet_source, K.ORPHAN_IDENTITY, 89, False, id="heard of 89 days ago"),
        pytest.param(a_quiet_source, K.ORPHAN_IDENTITY, 91, True, id="heard of 91 days ago"),
        pytest.param(a_member_held_for, K.HELD_KEEPS_GROUPS, 29, False, id="held for 29 days"),
        pytest.param(a_member_held_for, K.HELD_KEEPS_GROUPS, 31, True, id="held for 31 days"),
        pytest.param(two_who_signed_in, K.DUPLICATE_IDENTITIES, 29, False, id="signed in 29 days ago"),
        pytest.param(two_who_signed_in, K.DUPLICATE_IDENTITIES, 31, True, id="signed in 31 days ago"),
    ],
)
def test_time_is_counted_to_the_day(
    acme: House, case: Callable[[House, int], None], kind: FindingKind, days: int, asked: bool
) -> None:
    case(acme, days)
    assert (kind in look(acme)) is asked


def phoned(*numbers: Any) -> dict[str, Any]:
    return {"phoneNumbers": [{"value": number, "type": "work"} for number in numbers]}


def mailed(*emails: str) -> dict[str, Any]:
    return {"emails": [{"value": email} for email in emails]}


def named(given: str, family: str) -> dict[str, Any]:
    return {"name": {"givenName": given, "familyName": family}}


ADA, BOB = named("Ada", "Lovelace"), named("Bob", "Lee")
HOME, NUMBER = "ada@mail.example", "+49 (0)30 1234-567"


class TestDuplicates:
    @pytest.mark.parametrize(
        ("one", "other", "score"),
        [
            pytest.param(ADA | mailed(HOME), mailed(HOME.upper()), 30, id="an e-mail of another domain"),
            pytest.param(ADA | mailed("a@x.example", HOME), ADA | mailed(HOME), 50, id="the second e-mail"),
            pytest.param(ADA | mailed("a@x.example"), ADA | mailed(HOME), 0, id="a name alone"),
            pytest.param(
                ADA | mailed("i@x.example"), BOB | mailed("i@x.example"), 0, id="two of one mailbox"
            ),
            pytest.param(ADA | phoned(NUMBER), ADA | phoned("0049-30-1234567"), 45, id="a number and a name"),
            pytest.param(
                named("\u00c1d\u00e1", "Lovelace") | phoned(NUMBER, "1"),
                named("Lovelace", "Ada") | phoned("7654321", "030/1234567"),
                45,
                id="whatever the accents of the name, and the order of its words",
            ),
            pytest.param(ADA | phoned(NUMBER), BOB | phoned(NUMBER), 0, id="two of one number"),
            pytest.param(ADA | phoned("4711"), ADA | phoned("4711"), 0, id="an extension"),
            pytest.param(
                ADA | phoned(None, 1234567), ADA | {"phoneNumbers": "1234567"}, 0, id="no list of numbers"
            ),
        ],
    )
    def test_whoever_shares_enough_is_asked_about(
        self, acme: House, one: dict[str, Any], other: dict[str, Any], score: int
    ) -> None:
        for n, said in enumerate((one, other)):
            # What they share came later: a newcomer who shares it would wait.
            where = extend(acme.tenant, f"Other {n}")
            account_id = push(where, user(f"u{n}", f"k{n}", emails=[], name={})).account_id
            document = user(f"u{n}", f"k{n}", **{"emails": [], "name": {}, **said})
            submit(pushed(where, Intent.UPDATE, document, account_id=account_id))
        assert look(acme) == ({"identity:duplicate": 1} if score else {})
        if score:
            assert Finding.objects.get(kind="identity:duplicate").evidence["score"] == score

    def test_of_a_number_that_many_have_those_with_one_name_are_compared(self, acme: House) -> None:
        for n in range(24):
            # The last two are one person, and not among the first ten.
            said = ADA if n > 21 else named(f"Given{n}", f"Family{n}")
            where = extend(acme.tenant, f"Other {n}")
            push(where, user(f"u{n}", f"k{n}", emails=[], **said, **phoned(NUMBER)))
        assert look(acme) == {"identity:duplicate": 1}

    def test_who_was_told_apart_by_an_answer_to_a_push_is_not_asked_about_by_a_look(
        self, acme: House
    ) -> None:
        finding = weak_match(acme)
        findings.decide(finding=finding, approve=False, reason="a namesake", actor=OPERATOR)
        assert Distinction.objects.count() == 1
        assert look(acme) == {}

    def test_a_pair_that_a_push_has_asked_about_is_not_asked_about_twice(self, acme: House) -> None:
        one, two = two_of_one(acme)
        Finding.objects.create(
            tenant=acme.tenant,
            kind="account:name-recycled",
            severity="medium",
            identity_id=two.identity_id,
            candidates=[str(one.identity_id)],
            fingerprint="x",
        )
        assert look(acme) == {}

    @pytest.mark.parametrize("first", [0, 1], ids=["in one direction", "in the other"])
    def test_a_pair_is_told_apart_in_both_directions(self, acme: House, first: int) -> None:
        pair = tuple(outcome.identity_id for outcome in two_of_one(acme))
        findings.tell_apart(tenant_id=acme.tenant.pk, pairs=[(pair[first], pair[1 - first])], actor=OPERATOR)
        assert look(acme) == {}

    def test_a_key_of_very_many_is_compared_in_part(self, acme: House) -> None:
        other = extend(acme.tenant, "Other")
        for n in range(14):
            push(other, user(f"u{n}", f"k{n}", emails=[]))
        Identity.objects.update(email="info@acme.example", email_key="info@acme.example")
        with CaptureQueriesContext(database) as queries:
            look(acme)
        assert len(queries) < 90
        # One directory keeps them apart: what is shared is a mailbox, and no person.
        assert not Finding.objects.filter(kind="identity:duplicate", severity="medium").exists()

    def test_neither_a_local_identity_nor_a_leaver_is_a_duplicate(self, acme: House) -> None:
        one, two = two_of_one(acme)
        submit(pushed(acme, Intent.DELETE, account_id=one.account_id))
        assert "identity:duplicate" not in look(acme)
        Identity.objects.filter(pk=two.identity_id).update(local=True)
        assert "identity:duplicate" not in look(acme)


class TestOrphans:
    def test_a_roster_vouches(self, acme: House) -> None:
        an_orphan_of_whom_nothing_was_heard(acme)
        Roster.objects.create(
            tenant=acme.tenant,
            connection=acme.connection,
            source="csv",
            status="complete",
            as_of=now(),
            requested_by="command:tests",
        )
        assert look(acme) == {}

    def test_another_connection_vouches(self, acme: House) -> None:
        two = extend(acme.tenant, "Other", trusted_hr_number=True)
        hr = {ENTERPRISE: {"employeeNumber": "7"}}
        push(acme, person(acme, "ada", "e1", **hr))
        push(two, person(acme, "ada", "x1", **hr))
        Connection.objects.filter(pk=acme.connection.pk).update(status="disabled")
        assert look(acme) == {}

    def test_whoever_is_held_is_no_orphan(self, acme: House) -> None:
        an_orphan_of_a_disabled_connection(acme)
        identity = Identity.objects.get()
        people.place_hold(identity=identity, kind=HoldKind.ADMIN, reason="left", actor=OPERATOR)
        assert look(acme) == {}


@pytest.mark.parametrize(
    ("second", "names", "severity"),
    [
        ({"userType": "employee"}, None, None),
        ({"userType": "Contractor"}, ["user_type"], "medium"),
        ({"name": {"givenName": "Ada", "familyName": "King"}}, ["family_name"], "low"),
        ({"emails": [{"value": "ada@elsewhere.example"}]}, ["email"], "medium"),
    ],
    ids=["whatever its case", "a userType", "a family name", "an e-mail"],
)
def test_what_two_sources_say_is_compared(
    acme: House, second: dict[str, Any], names: list[str] | None, severity: str | None
) -> None:
    linked_twice(acme, **second)
    look(acme)
    found = Finding.objects.filter(kind="identity:attribute-conflict").first()
    assert (found and found.evidence, found and found.severity) == (
        names and {"attributes": names, "sources": ["scim"]},
        severity,
    )


@pytest.mark.parametrize(
    ("asserted", "names"),
    [
        ({"hr_number": "7", "family_name": "EXAMPLE", "email": "ada@acme.example"}, None),
        ({"given_name": "Augusta"}, None),
        ({"hr_number": "9999"}, ["hr_number"]),
        ({"hr_number": "9999", "family_name": "King"}, ["family_name", "hr_number"]),
        ({"email": "king@acme.example"}, ["email"]),
    ],
    ids=["the same", "nothing that weighs", "an HR number", "two of them", "an e-mail"],
)
def test_what_a_login_says_is_compared_with_what_scim_said_of_the_same_account(
    acme: House, asserted: dict[str, str], names: list[str] | None
) -> None:
    push(acme, person(acme, "ada", "e1", **{ENTERPRISE: {"employeeNumber": "7"}}))
    Account.objects.update(assertion=asserted)
    look(acme)
    found = Finding.objects.filter(kind="identity:attribute-conflict").first()
    assert (found and found.evidence) == (names and {"attributes": names, "sources": ["assertion", "scim"]})


ROOT, READER = {"value": "Global Administrator"}, {"value": "Reader"}


@pytest.mark.parametrize(
    ("first", "second", "others", "asked"),
    [
        pytest.param([ROOT], [READER], [], True, id="one says a privileged role, the other another"),
        pytest.param([ROOT], None, [READER], True, id="the other says it of nobody, and roles of somebody"),
        pytest.param([ROOT], None, [], False, id="the other never speaks of roles"),
        pytest.param([ROOT], [{"value": "global administrator"}, READER], [], False, id="both say it"),
        pytest.param([READER], [{"value": "Author"}], [], False, id="neither is privileged"),
    ],
)
@pytest.mark.parametrize("attribute", ["roles", "entitlements"])
def test_privilege_that_one_source_gives_and_the_other_does_not(
    acme: House, attribute: str, first: Any, second: Any, others: Any, asked: bool
) -> None:
    linked_twice(acme)
    one, two = Account.objects.order_by("id")
    for account, said in ((one, first), (two, second)):
        account.resource |= {attribute: said} if said else {}
        account.save()
    if others:
        push(House(acme.tenant, two.connection, ""), person(acme, "bob", "x2", **{attribute: others}))
    look(acme)
    found = Finding.objects.filter(kind="identity:attribute-conflict").first()
    assert (found and found.evidence["attributes"]) == ([attribute] if asked else None)


def test_whom_one_source_calls_inactive_stays_out_whatever_the_other_says(acme: House) -> None:
    a_state_conflict(acme)
    account = Account.objects.get(connection=acme.connection)
    for document in (person(acme, "ada", "e1", title="Dean"), person(acme, "ada", "e1")):
        submit(pushed(acme, Intent.ENABLE, document, account_id=account.pk, active=True))
        look(acme)
        assert not Identity.objects.with_state().get(pk=account.identity_id).enabled
    assert Finding.objects.get(kind=K.STATES_DIFFER).status == "open"


def test_two_hr_numbers_are_grave_and_told_at_once(acme: House) -> None:
    linked_twice(acme)
    account = Account.objects.order_by("id").last()
    account.resource |= {ENTERPRISE: {"employeeNumber": "8"}}
    account.save()
    look(acme)
    finding = Finding.objects.get(kind="identity:attribute-conflict")
    assert (finding.severity, finding.evidence) == (
        "high",
        {"attributes": ["hr_number"], "sources": ["scim"]},
    )
    assert OutboxMessage.objects.filter(topic="finding.opened", payload={"finding": str(finding.pk)}).exists()


@pytest.mark.parametrize("days", [0, 365])
def test_a_connection_says_who_is_dormant_and_when_it_is_stale(acme: House, days: int) -> None:
    a_dormant_account(acme)
    Connection.objects.update(dormant_days=days, stale_push_days=days, last_push_at=now() - LONG)
    assert look(acme).keys() <= {"identity:orphan"}


def test_groups_that_scim_pushed_as_well_do_not_drift(acme: House) -> None:
    outcome = groups_of_logins(acme)
    group_of(acme, "Board", [outcome.account_id])
    assert "account:groups-differ" not in look(acme)
    Membership.objects.all().delete()
    assert look(acme)["account:groups-differ"] == 1
    assert Finding.objects.get(kind="account:groups-differ").evidence == {"only_logins": 1, "only_scim": 0}
    assert EntitlementMapping.objects.count() == 0


class TestWhatIsOver:
    """Findings of pushes and logins close by themselves, too."""

    def test_the_question_of_an_account_that_was_deleted(self, acme: House) -> None:
        finding = weak_match(acme)
        submit(
            pushed(House(acme.tenant, finding.connection, ""), Intent.DELETE, account_id=finding.account_id)
        )
        look(acme)
        finding.refresh_from_db()
        assert (finding.status, finding.decision_reason) == ("obsolete", "The case has gone.")

    def test_the_question_of_an_account_that_was_confirmed(self, acme: House) -> None:
        outcome = sign_in(acme, "ada", at=now() - timedelta(days=30))
        finding = Finding.objects.create(
            tenant=acme.tenant,
            kind="account:unconfirmed",
            severity="low",
            account_id=outcome.account_id,
            identity_id=outcome.identity_id,
            fingerprint="x",
        )
        look(acme)
        finding.refresh_from_db()
        assert finding.status == "open"
        push(acme, user("ada", "e1"))
        look(acme)
        finding.refresh_from_db()
        assert finding.status == "obsolete"

    def test_the_request_of_somebody_who_was_let_in(self, acme: House) -> None:
        configuration.change_connection(
            connection=acme.connection, changes={"jit_approval": True}, actor=OPERATOR, reason="As agreed"
        )
        sign_in(acme, "ada")
        look(acme)
        finding = Finding.objects.get(kind="account:approval-requested")
        assert finding.status == "open"
        Hold.objects.all().delete()
        look(acme)
        finding.refresh_from_db()
        assert finding.status == "obsolete"


class TestOverdueListings:
    def roster(self, acme: House, days: int, **fields: Any) -> None:
        at = now() - timedelta(days=days)
        Roster.objects.create(
            tenant=acme.tenant,
            connection=acme.connection,
            as_of=at,
            started_at=at,
            completed_at=at,
            requested_by="schedule:",
            **{"source": "scim", "status": "complete", **fields},
        )

    @pytest.mark.parametrize(
        ("days", "fields", "asked"),
        [
            pytest.param(1, {}, False, id="complete yesterday"),
            pytest.param(1, {"status": "superseded"}, False, id="complete yesterday, and two newer ones"),
            pytest.param(4, {}, True, id="complete four days ago"),
            pytest.param(1, {"status": "refused", "code": "roster:denied"}, True, id="refused yesterday"),
            pytest.param(1, {"source": "csv"}, True, id="a file is no nightly listing"),
        ],
    )
    def test_only_a_complete_listing_of_the_last_days_answers(
        self, acme: House, days: int, fields: dict[str, Any], asked: bool
    ) -> None:
        an_overdue_listing(acme)
        self.roster(acme, days, **fields)
        assert look(acme) == ({"roster:overdue": 1} if asked else {})
        if asked and fields.get("source") != "csv":
            assert Finding.objects.get().evidence["code"] == fields.get("code", "")

    @pytest.mark.parametrize(
        "fields", [{"scheduled": False}, {"scheduled_at": now()}], ids=["not by night", "since today"]
    )
    def test_what_is_not_listed_every_night_is_not_overdue(self, acme: House, fields: dict[str, Any]) -> None:
        an_overdue_listing(acme)
        RosterSource.objects.update(**fields)
        assert look(acme) == {}

    def test_a_connection_that_is_not_in_use_is_not_asked_about(self, acme: House) -> None:
        an_overdue_listing(acme)
        Connection.objects.update(status="disabled")
        assert look(acme) == {}

    def test_a_complete_listing_closes_the_case(self, acme: House) -> None:
        an_overdue_listing(acme)
        look(acme)
        self.roster(acme, 0)
        assert look(acme) == {}
        assert Finding.objects.get(kind="roster:overdue").status == "obsolete"


def test_the_nightly_job_asks_each_tenant(
    acme: House, globex: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_privileged_role(acme)
    a_privileged_role(globex)
    monkeypatch.setattr(tasks.doubts.ask_tenant, "delay", tasks.doubts.ask_tenant)
    tasks.doubts.look_for_doubts()
    assert set(Finding.objects.values_list("tenant__slug", "kind")) == {
        ("acme", "connection:privileged-unmapped"),
        ("globex", "connection:privileged-unmapped"),
    }


@pytest.mark.django_db(transaction=True)
def test_two_looks_at_once_ask_once(acme: House) -> None:
    linked_twice(acme)
    account = Account.objects.order_by("id").last()
    account.resource |= {ENTERPRISE: {"employeeNumber": "8"}}
    account.save()

    def ask(_: int) -> int:
        try:
            return sum(asked.opened for asked in ask_tenant(acme.tenant.pk, now()).values())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(ask, range(4))) == 1
    assert [row.status for row in Finding.objects.filter(kind="identity:attribute-conflict")] == ["open"]
    assert OutboxMessage.objects.filter(topic="finding.opened").count() == 1
