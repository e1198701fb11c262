"""The whole path of an observation: what lands in the tables, and what the audit says of it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from identity_hub.core.clock import now
from provisioning.decision.types import Channel, HoldKind, Intent, Situation, Verdict
from provisioning.models import (
    Account,
    AuditRecord,
    AuditValue,
    Finding,
    Hold,
    Identity,
    OutboxMessage,
    Tombstone,
)
from provisioning.services import people, simulate_many, submission, submit, submit_many

from ..cast import OPERATOR, House, asserted, extend, push, pushed, sign_in, user

pytestmark = pytest.mark.django_db

EMAIL_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"


def enabled(identity_id: object) -> bool:
    return Identity.objects.with_state().get(pk=identity_id).enabled


def test_a_push_creates_an_account_and_an_enabled_identity_without_privilege(acme: House) -> None:
    outcome = push(acme, user("ada@acme.example", "e1"))
    assert (outcome.verdict, outcome.reason, outcome.created) == (Verdict.APPLIED, "account:created", True)
    identity = Identity.objects.with_state().get(pk=outcome.identity_id)
    assert identity.enabled
    assert not identity.is_staff
    assert (identity.user_name, identity.email, identity.given_name) == (
        "ada@acme.example",
        "ada@acme.example",
        "Ada",
    )
    account = Account.objects.get(pk=outcome.account_id)
    assert account.confirmed_at is not None
    assert account.link_rule == "created"


def test_the_audit_holds_names_of_attributes_and_the_side_table_their_values(acme: House) -> None:
    outcome = push(acme, user("ada@acme.example", "e1"))
    record = AuditRecord.objects.get(pk=outcome.audit_id)
    assert record.reason == "account:created"
    assert "Ada" not in str(record.changes)
    assert "ada@acme.example" not in str(record.changes)
    assert "Ada" in str(AuditValue.objects.get(record_id=record.pk).values)


def test_a_second_push_of_the_same_name_is_refused_and_audited(acme: House) -> None:
    push(acme, user("ada@acme.example", "e1"))
    outcome = push(acme, user("ADA@acme.example", "e2"))
    assert (outcome.verdict, outcome.reason) == (Verdict.REFUSED, "account:user-name-taken")
    assert Account.objects.count() == 1
    assert AuditRecord.objects.get(pk=outcome.audit_id).verdict == "refused"


def test_scim_adopts_the_account_that_a_login_made(acme: House) -> None:
    first = sign_in(acme, "p-1", email="ada@acme.example")
    assert first.reason == "login:account-created"
    adopted = push(acme, user("ada@acme.example", "p-1"))
    assert adopted.reason == "account:adopted"
    assert adopted.account_id == first.account_id
    assert adopted.identity_id == first.identity_id
    assert not adopted.created
    assert sign_in(acme, "p-1", email="ada@acme.example").reason == "login:admitted"
    assert Identity.objects.count() == 1


def test_a_login_whose_new_account_would_have_a_taken_name_is_refused(acme: House) -> None:
    """A persistent NameID is compared with keys; that it would be the userName of a new account, the index knows."""
    push(acme, user("p-1", "e1"))
    outcome = sign_in(acme, "p-1", email="eve@acme.example")
    assert (outcome.verdict, outcome.reason) == (Verdict.REFUSED, "login:disputed")
    assert Account.objects.count() == 1
    assert Finding.objects.get().evidence["account"] == str(Account.objects.get().pk)


def test_an_equal_email_alone_never_adopts(acme: House) -> None:
    """An attacker who may edit his own e-mail must not meet the new hire's account."""
    attacker = sign_in(acme, "p-evil", email="ada@acme.example")
    victim = push(acme, user("ada@acme.example", "e-ada"))
    assert victim.account_id != attacker.account_id
    assert victim.identity_id is None
    assert Finding.objects.filter(account_id=victim.account_id).exists()


def test_disable_ends_sessions_and_the_next_login_is_refused(acme: House) -> None:
    created = push(acme, user("ada@acme.example", "e1"))
    sign_in(acme, "p-1", external_id="e1", email="ada@acme.example")
    before = Identity.objects.get(pk=created.identity_id).get_session_auth_hash()
    outcome = submit(
        pushed(acme, Intent.UPDATE, user("ada@acme.example", "e1", active=False), created.account_id)
    )
    assert outcome.reason == "account:disabled"
    assert Identity.objects.get(pk=created.identity_id).get_session_auth_hash() != before
    assert not enabled(created.identity_id)
    assert OutboxMessage.objects.filter(topic="sessions.purge").exists()
    refused = sign_in(acme, "p-1", external_id="e1", email="ada@acme.example")
    assert (refused.verdict, refused.reason) == (Verdict.REFUSED, "login:identity-held")
    back = submit(pushed(acme, Intent.UPDATE, user("ada@acme.example", "e1"), created.account_id))
    assert back.reason == "account:enabled"
    assert enabled(created.identity_id)


def test_a_hold_of_an_administrator_outlives_scim(acme: House) -> None:
    created = push(acme, user("ada@acme.example", "e1"))
    identity = Identity.objects.get(pk=created.identity_id)
    people.place_hold(identity=identity, kind=HoldKind.SECURITY, reason="laptop stolen", actor=OPERATOR)
    submit(pushed(acme, Intent.UPDATE, user("ada@acme.example", "e1", active=False), created.account_id))
    submit(pushed(acme, Intent.UPDATE, user("ada@acme.example", "e1"), created.account_id))
    assert [hold.kind for hold in Hold.objects.all()] == ["security"]
    assert not enabled(created.identity_id)
    people.lift_hold(identity=identity, kind=HoldKind.SECURITY, reason="found", actor=OPERATOR)
    assert enabled(created.identity_id)


def test_delete_leaves_a_tombstone_and_the_return_meets_the_same_identity(acme: House) -> None:
    created = push(acme, user("ada@acme.example", "e1"))
    gone = submit(pushed(acme, Intent.DELETE, account_id=created.account_id))
    assert gone.reason == "account:deleted"
    assert Tombstone.objects.filter(pk=created.account_id).exists()
    assert not enabled(created.identity_id)
    assert sign_in(acme, "p-1", external_id="e1", email="ada@acme.example").reason == "login:account-deleted"
    assert Account.objects.count() == 1
    back = push(acme, user("ada@acme.example", "e1"))
    assert back.reason == "account:returned"
    assert back.account_id != created.account_id
    assert back.identity_id == created.identity_id
    assert enabled(created.identity_id)


def test_a_deleted_account_of_a_login_does_not_come_back_under_another_name(acme: House) -> None:
    """SCIM never named its key, but the login did."""
    first = sign_in(
        acme, "ada@acme.example", format="unspecified", external_id="e1", email="ada@acme.example"
    )
    submit(pushed(acme, Intent.DELETE, account_id=first.account_id))
    again = sign_in(acme, "countess", format="unspecified", external_id="e1", email="countess@acme.example")
    assert (again.verdict, again.reason) == (Verdict.REFUSED, "login:account-deleted")
    assert Identity.objects.count() == 1
    assert push(acme, user("countess@acme.example", "e1")).identity_id == first.identity_id


def test_a_key_that_scim_replaced_leads_to_no_second_identity(acme: House) -> None:
    first = sign_in(
        acme, "ada@acme.example", format="unspecified", external_id="e1", email="ada@acme.example"
    )
    for key in ("e1", "e2"):
        submit(pushed(acme, Intent.UPDATE, user("ada@acme.example", key), first.account_id))
    late = sign_in(acme, "ada.l", format="unspecified", external_id="e1", email="ada@acme.example")
    assert late.reason == "login:link-pending"
    assert Identity.objects.count() == 1


def test_a_version_that_moved_on_is_stale_and_writes_nothing(acme: House) -> None:
    created = push(acme, user("ada@acme.example", "e1"))
    audited = AuditRecord.objects.count()
    outcome = submit(
        pushed(
            acme,
            Intent.UPDATE,
            user("ada@acme.example", "e1", title="x"),
            created.account_id,
            expected_version=7,
        )
    )
    assert outcome.verdict is Verdict.STALE
    assert AuditRecord.objects.count() == audited


def test_the_same_update_twice_is_quiet(acme: House) -> None:
    created = push(acme, user("ada@acme.example", "e1"))
    changed = user("ada@acme.example", "e1", title="Analyst")
    once = submit(pushed(acme, Intent.UPDATE, changed, created.account_id))
    audited = AuditRecord.objects.count()
    twice = submit(pushed(acme, Intent.UPDATE, changed, created.account_id))
    assert (once.verdict, once.version) == (Verdict.APPLIED, 2)
    assert (twice.verdict, twice.version) == (Verdict.UNCHANGED, 2)
    assert AuditRecord.objects.count() == audited


def test_each_of_a_batch_has_its_own_outcome(acme: House) -> None:
    outcomes = submit_many(
        [
            pushed(acme, Intent.CREATE, user("a@acme.example", "1")),
            pushed(acme, Intent.CREATE, user("a@acme.example", "2")),
            pushed(acme, Intent.CREATE, user("b@acme.example", "3")),
        ]
    )
    assert [o.reason for o in outcomes] == ["account:created", "account:user-name-taken", "account:created"]
    assert Account.objects.count() == 2


def test_a_batch_costs_a_number_of_statements_that_does_not_grow_with_it(acme: House) -> None:
    def statements(first: int, count: int) -> int:
        batch = [
            pushed(acme, Intent.CREATE, user(f"u{n}@acme.example", f"e{n}"))
            for n in range(first, first + count)
        ]
        with CaptureQueriesContext(connection) as captured:
            submit_many(batch)
        return len(captured)

    push(acme, user("first@acme.example"))  # notes the connection's last push, once a minute
    submission._most_keys()  # asks for a setting, once in a process's life
    assert statements(0, 1) == statements(1, 9)
    assert statements(10, 40) == statements(100, 300)


def test_two_connections_may_speak_of_one_person(acme: House) -> None:
    other = extend(acme.tenant, "Second", trusted_email=True)
    first = push(acme, user("ada@acme.example", "e1"))
    second = push(other, user("ada@acme.example", "other-key"))
    assert second.account_id != first.account_id
    assert Identity.objects.count() == 1


def test_another_tenants_connection_sees_nobody(acme: House, globex: House) -> None:
    created = push(acme, user("ada@acme.example", "e1"))
    foreign = submit(pushed(globex, Intent.UPDATE, user("ada@acme.example", "e1"), created.account_id))
    assert (foreign.verdict, foreign.reason) == (Verdict.REFUSED, "account:unknown")
    same_words = push(globex, user("ada@acme.example", "e1"))
    assert same_words.reason == "account:created"
    assert same_words.identity_id != created.identity_id


def test_a_simulation_writes_nothing(acme: House) -> None:
    before = AuditRecord.objects.count()
    ((decision, _),) = simulate_many([pushed(acme, Intent.CREATE, user("ada@acme.example", "e1"))])
    assert decision.reason == "account:created"
    assert not Account.objects.exists()
    assert AuditRecord.objects.count() == before


def test_an_unconfirmed_account_expires_and_adoption_lifts_it(acme: House) -> None:
    first = sign_in(acme, "p-1", email="ada@acme.example", at=now() - timedelta(days=20))
    absent = pushed(acme, Intent.CREATE, None, first.account_id)
    outcome = submit(replace(absent, channel=Channel.ROSTER, intent=Intent.ABSENT))
    assert outcome.reason == "account:expired"
    assert not enabled(first.identity_id)
    assert outcome.situation is Situation.ADOPTABLE
    push(acme, user("ada@acme.example", "p-1"))
    assert enabled(first.identity_id)


def test_a_persistent_subject_is_known_again_whatever_its_email(acme: House) -> None:
    first = sign_in(acme, "p-1", email="ada@acme.example")
    again = submit(asserted(acme, "p-1", email="ada.new@acme.example"))
    assert again.account_id == first.account_id
    assert Identity.objects.get(pk=first.identity_id).email == "ada.new@acme.example"


def test_a_hold_on_a_candidate_is_lifted_by_the_account_that_placed_it(acme: House) -> None:
    """Row 13b: an unlinked account that is disabled holds whom it may be, until it says otherwise."""
    login = sign_in(acme, "p-1", email="ada@acme.example")
    waiting = push(acme, user("ada@acme.example", "e-ada"))
    assert waiting.identity_id is None
    off = user("ada@acme.example", "e-ada", active=False)
    submit(pushed(acme, Intent.UPDATE, off, waiting.account_id))
    assert not enabled(login.identity_id)
    submit(pushed(acme, Intent.UPDATE, user("ada@acme.example", "e-ada"), waiting.account_id))
    assert enabled(login.identity_id)


def test_a_candidate_that_left_under_another_key_is_not_linked_without_asking(acme: House) -> None:
    """Section 6, vetoes: a tombstone with another key."""
    trusting = extend(acme.tenant, "Second", trusted_email=True)
    ada = push(acme, user("ada@acme.example", "e1"))
    former = push(trusting, user("old.name@acme.example", "k1", emails=[{"value": "ada@acme.example"}]))
    assert former.identity_id == ada.identity_id
    submit(pushed(trusting, Intent.DELETE, account_id=former.account_id))
    newcomer = push(trusting, user("new.name@acme.example", "k2", emails=[{"value": "ada@acme.example"}]))
    assert newcomer.reason == "account:link-pending"
    assert newcomer.identity_id is None


def test_a_login_under_a_former_name_makes_no_second_person(acme: House) -> None:
    """Row 21: old values stay as aliases for look-up by people, never for login."""
    created = push(acme, user("ada.young@acme.example", "e1"))
    submit(pushed(acme, Intent.UPDATE, user("ada.old@acme.example", "e1"), created.account_id))
    late = sign_in(acme, "ada.young@acme.example", format=EMAIL_FORMAT, email="ada.young@acme.example")
    assert (late.accepted, late.reason) == (False, "login:link-pending")
    assert Identity.objects.count() == 1
    assert Finding.objects.get().candidates == [str(created.identity_id)]


def test_names_that_are_handed_on_in_one_batch_reach_everybody_in_its_order(acme: House) -> None:
    """Whoever waits for a name that somebody gets rid of is decided after her, and whoever waits for his, after him."""
    people = [push(acme, user(f"{name}@acme.example", name)).account_id for name in ("ada", "bob", "cy")]
    new = ("dan", "ada", "bob")
    outcomes = submit_many(
        [
            pushed(acme, Intent.UPDATE, user(f"{name}@acme.example", key), account_id)
            for name, key, account_id in zip(new, ("ada", "bob", "cy"), people, strict=True)
        ]
    )
    assert [outcome.reason for outcome in outcomes] == ["account:updated"] * 3
    names = dict(Account.objects.values_list("external_id", "user_name"))
    assert names == {"ada": "dan@acme.example", "bob": "ada@acme.example", "cy": "bob@acme.example"}
