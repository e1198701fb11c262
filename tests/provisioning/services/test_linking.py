"""What a link, an unlink and a relink write: the account, its holds and names, the memory of it, the audit."""

from datetime import timedelta

import pytest

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.types import HoldKind, Intent
from provisioning.models import (
    Account,
    Alias,
    AuditRecord,
    AuditValue,
    Entitlement,
    Finding,
    Hold,
    Identity,
    Membership,
    Session,
    Tombstone,
)
from provisioning.services import configuration, findings, linking, people, submit, undo

from ..admin.scene import group_of
from ..cast import OPERATOR, House, extend, push, pushed, session_of, sign_in, user

pytestmark = pytest.mark.django_db


def identity(outcome) -> Identity:
    return Identity.objects.with_state().get(pk=outcome.identity_id)


def account(outcome) -> Account:
    return Account.objects.get(pk=outcome.account_id)


def link(row: Account, to: Identity, **more):
    return linking.link(account=row, identity=to, reason="Asked her", actor=OPERATOR, **more)


def unlink(row: Account):
    return linking.unlink(account=row, reason="Namesake", actor=OPERATOR)


@pytest.fixture
def okta(acme: House) -> House:
    return extend(acme.tenant, "Okta")


def test_an_unlinked_account_leaves_nothing_of_it_behind(acme: House) -> None:
    first = push(acme, user("ada@acme.example", "e1"))
    submit(pushed(acme, Intent.UPDATE, user("ada.l@acme.example", "e1"), first.account_id))
    submit(pushed(acme, Intent.UPDATE, user("ada.l@acme.example", "e1", active=False), first.account_id))
    ada = identity(first)
    session_of(ada)
    epoch = ada.session_epoch
    outcome = unlink(account(first))
    assert (outcome.reason, outcome.accepted) == ("account:unlinked", True)
    row = account(first)
    assert (row.identity_id, row.link_rule, row.link_evidence, row.linked_at) == (None, "", {}, None)
    assert not Hold.objects.exists()
    assert set(Alias.objects.values_list("identity_id", flat=True)) == {None}
    assert identity(first).session_epoch > epoch
    assert not identity(first).enabled
    record = AuditRecord.objects.get(pk=outcome.audit_id)
    assert (record.reason, record.account_id, record.identity_id) == (
        "account:unlinked",
        row.pk,
        ada.pk,
    )
    assert AuditValue.objects.get(pk=record.pk).values["reason"] == "Namesake"
    memory = Finding.objects.get(kind="account:kept-apart")
    assert (memory.status, memory.identity_id, memory.evidence) == ("rejected", ada.pk, {})
    assert memory.decision_reason == "Namesake"


def test_a_run_never_links_again_what_a_person_took_off(acme: House, okta: House) -> None:
    okta.connection.trusted_hr_number = True
    okta.connection.save()
    extension = {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"employeeNumber": "7"}}
    first = push(acme, user("ada@acme.example", "e1") | extension)
    second = push(okta, user("ada@okta.example", "o1") | extension)
    assert second.identity_id == first.identity_id
    unlink(account(second))
    run = reconciliation.simulate(okta.connection, OPERATOR, reason="As agreed")
    assert not run.items.filter(reason="account:linked").exists()
    # Deleted and pushed again with its key, it is still not hers.
    submit(pushed(okta, Intent.DELETE, account_id=second.account_id))
    again = push(okta, user("ada@okta.example", "o1") | extension)
    assert again.identity_id != first.identity_id


def test_the_hold_of_an_unlinked_account_comes_back_with_its_next_link(acme: House, okta: House) -> None:
    first = push(acme, user("ada@acme.example", "e1"))
    submit(pushed(acme, Intent.UPDATE, user("ada@acme.example", "e1", active=False), first.account_id))
    other = push(okta, user("bob@acme.example", "o1"))
    unlink(account(first))
    assert link(account(first), identity(other)).reason == "account:linked"
    hold = Hold.objects.get()
    assert (hold.identity_id, hold.source_account_id) == (other.identity_id, first.account_id)
    assert Finding.objects.get(kind="account:kept-apart").evidence == {}
    assert link(account(first), identity(first)).reason == "account:relinked"
    assert Hold.objects.get().identity_id == first.identity_id
    assert set(Finding.objects.values_list("identity_id", "status")) == {
        (first.identity_id, "obsolete"),
        (other.identity_id, "rejected"),
    }


def test_a_hold_that_no_document_says_waits_with_its_account(acme: House, okta: House) -> None:
    """A login's account that was never confirmed looks like any other; that it held somebody is remembered."""
    first = sign_in(acme, "p-1", at=now() - timedelta(days=30))
    reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))
    assert Hold.objects.get().kind == "expiry"
    other = push(okta, user("bob@acme.example", "o1"))
    unlink(account(first))
    assert Finding.objects.get(kind="account:kept-apart").evidence == {"carried": ["expiry"]}
    link(account(first), identity(other))
    hold = Hold.objects.get()
    assert (hold.kind, hold.identity_id, hold.source_account_id) == (
        "expiry",
        other.identity_id,
        first.account_id,
    )


@pytest.mark.parametrize("by_key", [False, True], ids=["to its id", "by a POST of its key"])
def test_a_hold_that_waits_with_its_account_ends_when_its_idp_says_active(
    acme: House, okta: House, by_key: bool
) -> None:
    first, other = push(acme, user("ada@acme.example", "e1")), push(okta, user("bob@acme.example", "o1"))
    # As a run leaves whom two rosters missed: the account is active, and holds.
    Hold.objects.create(
        tenant=acme.tenant, identity=identity(first), kind="scim", source_account_id=first.account_id
    )
    unlink(account(first))
    memory = Finding.objects.get(kind="account:kept-apart")
    assert memory.evidence == {"carried": ["scim"]}
    submit(pushed(acme, Intent.DISABLE, account_id=first.account_id))
    if by_key:
        submit(pushed(acme, Intent.CREATE, user("ada@acme.example", "e1")))
    else:
        submit(pushed(acme, Intent.ENABLE, account_id=first.account_id, active=True))
    memory.refresh_from_db()
    assert memory.evidence == {"carried": []}
    link(account(first), identity(other))
    assert not Hold.objects.exists()


def test_a_hold_that_came_with_a_link_waits_again_when_the_link_is_taken_back(
    acme: House, okta: House
) -> None:
    extension = {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"employeeNumber": "7"}}
    first = sign_in(acme, "p-1", at=now() - timedelta(days=30))
    reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))
    unlink(account(first))
    Account.objects.filter(pk=first.account_id).update(assertion={"hr_number": "7"})
    push(okta, user("bob@acme.example", "o1") | extension)
    acme.connection.trusted_hr_number = True
    acme.connection.save()
    run = reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))
    assert Hold.objects.get().kind == "expiry"
    undo.order(run, actor=OPERATOR, reason="A mistake")
    assert undo.carry_out(run) == {"item:undone": 1}
    assert not Hold.objects.exists()
    link(account(first), identity(push(okta, user("cleo@acme.example", "o2"))))
    assert Hold.objects.get().kind == "expiry"


def test_a_moved_hold_is_still_the_one_that_was_placed(acme: House, okta: House) -> None:
    first = push(acme, user("ada@acme.example", "e1"))
    submit(pushed(acme, Intent.UPDATE, user("ada@acme.example", "e1", active=False), first.account_id))
    before = Hold.objects.get()
    other = push(okta, user("bob@acme.example", "o1"))
    link(account(first), identity(other))
    after = Hold.objects.get()
    assert (after.pk, after.placed_by, after.placed_at, after.reason) == (
        before.pk,
        before.placed_by,
        before.placed_at,
        before.reason,
    )
    assert after.identity_id == other.identity_id


def test_entitlements_follow_the_account(acme: House, okta: House) -> None:
    first, other = push(acme, user("ada@acme.example", "e1")), push(okta, user("bob@acme.example", "o1"))
    group = group_of(acme, "Engineers", [first.account_id])
    role = configuration.create_entitlement(
        tenant=acme.tenant, name="Developer", actor=OPERATOR, reason="As agreed"
    )
    configuration.map_entitlement(entitlement=role, group=group, actor=OPERATOR, reason="As agreed")
    link(account(first), identity(other))
    assert list(Entitlement.objects.of_identity(identity(other))) == [role]
    assert not Entitlement.objects.of_identity(identity(first)).exists()
    unlink(account(first))
    assert not Entitlement.objects.of_identity(identity(other)).exists()
    assert Membership.objects.filter(account_id=first.account_id).exists()


def test_a_duplicate_ends_in_the_account_that_scim_delivered(acme: House) -> None:
    login = sign_in(acme, "p-1", email="ada@acme.example")
    delivered = push(acme, user("ada@acme.example", "e1"))
    assert delivered.reason == "account:link-pending"
    outcome = link(account(delivered), identity(login), fold_duplicate=True)
    assert outcome.reason == "account:folded"
    kept, gone = account(delivered), account(login)
    assert (kept.subject_value, kept.identity_id) == ("p-1", login.identity_id)
    assert gone.deleted_at is not None
    assert Tombstone.objects.get().identity_id == login.identity_id
    again = sign_in(acme, "p-1", email="ada@acme.example")
    assert (again.reason, again.account_id) == ("login:account-bound", kept.pk)
    assert Finding.objects.filter(status="open").count() == 0


def test_a_finding_s_approval_folds_a_duplicate_too(acme: House) -> None:
    sign_in(acme, "p-1", email="ada@acme.example")
    push(acme, user("ada@acme.example", "e1"))
    outcome = findings.decide(
        finding=Finding.objects.get(status="open"), approve=True, reason="Same", actor=OPERATOR
    )
    assert outcome.reason == "account:folded"


def test_nothing_is_written_to_foresee(acme: House, okta: House) -> None:
    first, other = push(acme, user("ada@acme.example", "e1")), push(okta, user("bob@acme.example", "o1"))
    audited = AuditRecord.objects.count()
    foreseen = linking.foresee_link(account=account(first), identity=identity(other), actor=OPERATOR)
    assert foreseen.reason == "account:relinked"
    assert linking.foresee_unlink(account=account(first), actor=OPERATOR).reason == "account:unlinked"
    assert account(first).identity_id == first.identity_id
    assert AuditRecord.objects.count() == audited


def test_another_tenant_s_identity_is_not_there(acme: House, globex: House) -> None:
    first, theirs = push(acme, user("ada@acme.example", "e1")), push(globex, user("bob@globex.example", "g1"))
    outcome = link(account(first), identity(theirs))
    assert (outcome.reason, outcome.accepted) == ("identity:unknown", False)
    assert account(first).identity_id == first.identity_id


def test_who_is_held_by_security_keeps_the_account(acme: House) -> None:
    first = push(acme, user("ada@acme.example", "e1"))
    people.place_hold(identity=identity(first), kind=HoldKind.SECURITY, reason="Stolen", actor=OPERATOR)
    assert unlink(account(first)).reason == "account:of-held-identity"
    assert account(first).identity_id == first.identity_id


def test_a_session_of_the_former_identity_is_over(acme: House, okta: House) -> None:
    first, other = push(acme, user("ada@acme.example", "e1")), push(okta, user("bob@acme.example", "o1"))
    session_of(identity(first), account_id=first.account_id)
    before = identity(first).get_session_auth_hash()
    link(account(first), identity(other))
    assert identity(first).get_session_auth_hash() != before
    assert Session.objects.count() <= 1  # its row is purged by the outbox
