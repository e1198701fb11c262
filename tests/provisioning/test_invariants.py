"""Each law of the stored rows is seen to hold, and seen to be broken: one that cannot fail is no law."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.types import HoldKind, Intent, Profile
from provisioning.models import Account, DirectoryGroup, Finding, Identity
from provisioning.selectors.invariants import INSTALLATION, LAWS, violations
from provisioning.services import configuration, laws, linking, merging, overrides, people, submit
from provisioning.services.groups import submit_group
from provisioning.services.retention import purge_deleted
from provisioning.tasks import delivery

from .cast import OPERATOR, House, extend, push, pushed, session_of, sign_in, user
from .services.test_groups import group

pytestmark = pytest.mark.django_db

Ids = dict[str, Any]
EXTENSION = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@pytest.fixture
def ids(acme: House) -> Ids:
    """A tenant in which everything has happened that a law speaks of; the ids of those who took part."""
    with connection.cursor() as cursor:
        # As in production: the test database runs without this one guard (tests/conftest.py).
        for table in ("provisioning_auditrecord", "provisioning_auditvalue"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER append_only_table")
    long_ago = now() - timedelta(days=30)
    ada = push(acme, user("ada@acme.example", "e1"))
    sign_in(acme, "e1", login_names=("ada@acme.example",))
    bob = push(acme, user("bob@acme.example", "e2", active=False))
    cleo = push(acme, user("cleo@acme.example", "e3"))
    submit(pushed(acme, Intent.DELETE, account_id=cleo.account_id))
    dora = push(acme, user("dora@acme.example", "e6"))
    submit(pushed(acme, Intent.DISABLE, account_id=dora.account_id, active=False))
    old = push(acme, user("old@acme.example", "e4"), at=now() - timedelta(days=200))
    submit(pushed(acme, Intent.DELETE, account_id=old.account_id, at=now() - timedelta(days=199)))
    purge_deleted(at=now(), actor=OPERATOR)
    jit = sign_in(acme, "jit", at=long_ago)
    fresh = sign_in(acme, "fresh")
    held = push(acme, user("held@acme.example", "e5"))
    people.place_hold(
        identity=Identity.objects.get(pk=held.identity_id),
        kind=HoldKind.ADMIN,
        reason="a story",
        actor=OPERATOR,
    )
    for attribute, value in (("title", "Head"), ("email", "shown@acme.example")):
        overrides.override(
            identity=Identity.objects.get(pk=ada.identity_id),
            attribute=attribute,
            value=value,
            until=now() + timedelta(days=30),
            reason="a story",
            actor=OPERATOR,
        )
    other = extend(acme.tenant, "Other")
    waits = push(other, user("ada@acme.example", "x1"))
    staff = submit_group(group(acme, Intent.CREATE, display_name="Staff", add=(ada.account_id,)))
    role = configuration.create_entitlement(
        tenant=acme.tenant, kind="role", name="Staff", actor=OPERATOR, reason="As agreed"
    )
    staff_group = DirectoryGroup.objects.get(pk=staff.account_id)
    mapping = configuration.map_entitlement(
        entitlement=role, group=staff_group, actor=OPERATOR, reason="As agreed"
    )
    local = configuration.create_local_identity(
        login_name="root",
        password="correct horse battery",
        tenant=acme.tenant,
        break_glass=True,
        actor=OPERATOR,
        reason="As agreed",
    )
    session = session_of(Identity.objects.get(pk=ada.identity_id))
    run = reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))
    delivery.drain()
    return {
        "tenant": acme.tenant.pk,
        "ada": ada.account_id,
        "ada_identity": ada.identity_id,
        "bob": bob.account_id,
        "bob_identity": bob.identity_id,
        "cleo": cleo.account_id,
        "dora": dora.account_id,
        "old": old.account_id,
        "jit": jit.account_id,
        "fresh": fresh.account_id,
        "held_identity": held.identity_id,
        "waits": waits.account_id,
        "other": other.connection.pk,
        "group": staff.account_id,
        "mapping": mapping.pk,
        "local": local.pk,
        "session": session.pk,
        "run": run.pk,
    }


BROKEN: dict[str, list[str]] = {
    "account:user-name-once": [
        "DROP INDEX account_user_name_once",
        "UPDATE provisioning_account SET user_name_key = 'ada@acme.example' WHERE id = %(bob)s",
    ],
    "account:external-id-once": [
        "DROP INDEX account_external_id_once",
        "UPDATE provisioning_account SET external_id = 'e1' WHERE id = %(bob)s",
    ],
    "account:subject-once": [
        "DROP INDEX account_subject_once",
        "UPDATE provisioning_account b SET subject_value = a.subject_value, subject_issuer = a.subject_issuer,"
        " subject_format = a.subject_format FROM provisioning_account a WHERE a.id = %(ada)s AND b.id = %(bob)s",
    ],
    "account:subject-persistent": [
        "UPDATE provisioning_account SET subject_format = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress'"
        " WHERE id = %(ada)s"
    ],
    "account:unconfirmed-by-login-alone": [
        "UPDATE provisioning_account SET confirmed_at = NULL WHERE id = %(ada)s"
    ],
    "account:says-what-it-is-found-by": [
        "UPDATE provisioning_account SET external_id = 'e99' WHERE id = %(ada)s"
    ],
    "account:keys-follow": ["UPDATE provisioning_account SET user_name_key = 'zzz' WHERE id = %(bob)s"],
    "identity:shows-its-sources": [
        "UPDATE provisioning_identity SET family_name = 'Evil' WHERE id = %(bob_identity)s"
    ],
    "account:identity-of-its-tenant": [
        "ALTER TABLE provisioning_account DROP CONSTRAINT provisioning_account_identity_id_tenant_fk",
        "UPDATE provisioning_account SET identity_id = gen_random_uuid() WHERE id = %(ada)s",
    ],
    "account:link-has-rule": [
        "ALTER TABLE provisioning_account DROP CONSTRAINT account_link_has_rule",
        "UPDATE provisioning_account SET link_rule = '' WHERE id = %(ada)s",
    ],
    "identity:one-account-of-a-connection": [
        "UPDATE provisioning_account SET identity_id = %(ada_identity)s WHERE id = %(fresh)s"
    ],
    "audit:made-each-link": [
        "UPDATE provisioning_account SET identity_id = %(ada_identity)s, link_rule = '0-explicit'"
        " WHERE id = %(waits)s"
    ],
    "hold:of-administrators-stands": [
        "DELETE FROM provisioning_hold WHERE identity_id = %(held_identity)s AND kind = 'admin'"
    ],
    "hold:of-the-unconfirmed-stands": [
        "DELETE FROM provisioning_hold WHERE source_account_id = %(jit)s AND kind = 'expiry'"
    ],
    "identity:protected-apart": [
        "UPDATE provisioning_account SET identity_id = %(local)s, link_rule = 'created' WHERE id = %(waits)s"
    ],
    "identity:merged-has-nothing": [
        "UPDATE provisioning_identity SET merged_into_id = %(ada_identity)s WHERE id = %(bob_identity)s"
    ],
    "identity:administrators-are-local": [
        "UPDATE provisioning_identity SET is_tenant_administrator = true WHERE id = %(ada_identity)s"
    ],
    "identity:privileges-on-record": [
        "UPDATE provisioning_identity SET is_tenant_administrator = true WHERE id = %(local)s"
    ],
    "entitlement:privileges-on-record": [
        "UPDATE provisioning_entitlement SET grants_staff = true WHERE tenant_id = %(tenant)s"
    ],
    "session:of-the-enabled": [
        "UPDATE provisioning_session SET identity_id = %(held_identity)s WHERE session_key = %(session)s"
    ],
    "hold:of-its-source": [
        "UPDATE provisioning_hold SET identity_id = %(ada_identity)s WHERE source_account_id = %(bob)s"
    ],
    "hold:expiry-of-the-unconfirmed": [
        "UPDATE provisioning_account SET confirmed_at = now() WHERE id = %(jit)s"
    ],
    "override:shown": ["UPDATE provisioning_identity SET title = 'Clerk' WHERE id = %(ada_identity)s"],
    "override:recognised-by-its-sources": [
        "UPDATE provisioning_identity SET email_key = 'shown@acme.example' WHERE id = %(ada_identity)s"
    ],
    "override:ends": [
        "ALTER TABLE provisioning_override DROP CONSTRAINT override_ends",
        "UPDATE provisioning_override SET until = now() - interval '25 hours' WHERE attribute = 'title'",
    ],
    "audit:set-each-override": [
        "UPDATE provisioning_override SET id = gen_random_uuid() WHERE attribute = 'title'"
    ],
    "account:inactive-holds": ["DELETE FROM provisioning_hold WHERE source_account_id = %(bob)s"],
    "hold:of-the-inactive": [
        "UPDATE provisioning_account SET active = true,"
        " resource = jsonb_set(resource, '{active}', 'true') WHERE id = %(dora)s"
    ],
    "account:deleted-holds": ["DELETE FROM provisioning_hold WHERE source_account_id = %(cleo)s"],
    "account:deleted-leaves-tombstone": ["DELETE FROM provisioning_tombstone WHERE id = %(cleo)s"],
    "tombstone:has-digests": [
        "UPDATE provisioning_tombstone SET external_id_digest = NULL WHERE id = %(cleo)s"
    ],
    "tombstone:purged-holds-no-data": [
        "UPDATE provisioning_account SET user_name = 'old@acme.example' WHERE id = %(old)s"
    ],
    "membership:of-the-living": [
        "UPDATE provisioning_membership SET account_id = %(cleo)s WHERE group_id = %(group)s"
    ],
    "entitlement:by-mapping-on-record": [
        "UPDATE provisioning_entitlementmapping SET id = gen_random_uuid() WHERE id = %(mapping)s"
    ],
    "item:applied-on-record": [
        "UPDATE provisioning_reconciliationitem SET account_id = %(ada)s, identity_id = %(ada_identity)s"
        " WHERE status = 'applied'"
    ],
    "item:inverse-on-record": [
        'UPDATE provisioning_reconciliationitem SET inverse = \'[{"change": "LiftHold", "audit_id": 0}]\''
        " WHERE status = 'applied'"
    ],
    "item:done-once": [
        "INSERT INTO provisioning_auditrecord (tenant_id, at, request_id, actor_kind, actor_id, channel, intent,"
        " situation, verdict, reason, connection_id, account_id, identity_id, changes, digests)"
        " SELECT tenant_id, at, request_id, actor_kind, actor_id, channel, intent, situation, verdict, reason,"
        " connection_id, account_id, identity_id, changes, digests FROM provisioning_auditrecord"
        " WHERE request_id = %(run)s::text AND account_id = %(jit)s"
    ],
    "item:planned-once": [
        "INSERT INTO provisioning_reconciliationitem (tenant_id, run_id, check_name, account_id, identity_id,"
        " situation, reason, destructive, status, plan, inverse, evidence)"
        " SELECT tenant_id, run_id, check_name, account_id, identity_id, situation, reason, destructive, 'refused',"
        " plan, inverse, evidence FROM provisioning_reconciliationitem WHERE status = 'applied'"
    ],
    "run:done-left-nothing": [
        "UPDATE provisioning_reconciliationitem SET status = 'planned' WHERE status = 'reported'"
    ],
    "audit:made-each-account": [
        "INSERT INTO provisioning_account (id, tenant_id, connection_id, link_rule, link_evidence, origin,"
        " lifecycle_owner, confirmed_at, active, version, user_name, user_name_key, email_keys, unique_keys,"
        " subject_issuer, subject_format, subject_value, resource, assertion, created_at, updated_at)"
        " SELECT gen_random_uuid(), tenant_id, connection_id, '', '{}', origin, lifecycle_owner, confirmed_at,"
        " active, version, 'eve', 'eve', '{}', '{}', '', '', '',"
        ' \'{"userName": "eve", "active": true}\', \'{}\', now(), now()'
        " FROM provisioning_account WHERE id = %(waits)s"
    ],
    "audit:made-each-identity": [
        "INSERT INTO provisioning_identity (id, tenant_id, password, kind, local, break_glass, is_superuser,"
        " is_tenant_administrator, session_epoch, user_name, user_name_key, email, email_key, given_name,"
        " family_name, display_name, locale, time_zone, hr_number, department, title, created_at, updated_at)"
        " VALUES (gen_random_uuid(), %(tenant)s, '!', 'person', false, false, false, false, 0,"
        " '', '', '', '', '', '', '', '', '', '', '', '', now(), now())"
    ],
    "audit:placed-each-hold": [
        "INSERT INTO provisioning_hold (id, tenant_id, identity_id, kind, reason, placed_by, placed_at)"
        " VALUES (gen_random_uuid(), %(tenant)s, %(held_identity)s, 'security', '', 'nobody', now())"
    ],
    "finding:about-what-exists": [
        "UPDATE provisioning_finding SET candidates = jsonb_build_array(gen_random_uuid())"
        " WHERE account_id = %(waits)s"
    ],
    "audit:append-only": ["ALTER TABLE provisioning_auditrecord DISABLE TRIGGER append_only_rows"],
    "database:guards-stand": [
        "ALTER TABLE provisioning_hold DROP CONSTRAINT provisioning_hold_identity_id_tenant_fk"
    ],
    "identity:superuser-of-no-tenant": [
        "ALTER TABLE provisioning_identity DROP CONSTRAINT identity_superuser_is_local_and_of_no_tenant",
        "UPDATE provisioning_identity SET is_superuser = true WHERE id = %(ada_identity)s",
    ],
}
"""Law -> what writes past the hub and breaks it."""


def found(ids: Ids) -> list[tuple[str, str, str | None]]:
    return [
        (one.law.name, one.id, one.beside)
        for tenant_id in (ids["tenant"], None)
        for one in violations(tenant_id=tenant_id, at=now())
    ]


def break_by(statements: list[str], ids: Ids) -> None:
    with connection.cursor() as cursor:
        # Deferred constraints would otherwise forbid to change the table before the commit.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for statement in statements:
            cursor.execute(statement, ids)
            assert cursor.rowcount != 0, statement
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def test_all_laws_hold_where_the_hub_alone_wrote(ids: Ids) -> None:
    assert found(ids) == []


@pytest.mark.parametrize("law", [law.name for law in (*LAWS, *INSTALLATION)])
def test_a_law_that_is_broken_is_seen(law: str, ids: Ids) -> None:
    break_by(BROKEN[law], ids)
    assert law in {name for name, _, _ in found(ids)}


def test_a_neighbour_is_not_asked(ids: Ids, globex: House) -> None:
    break_by(BROKEN["account:inactive-holds"], ids)
    assert list(violations(tenant_id=globex.tenant.pk, at=now())) == []


@pytest.mark.parametrize(
    ("law", "statement"),
    [
        pytest.param(law, statement, id=what)
        for law, what, statement in [
            (
                "account:keys-follow",
                "an e-mail that the document says is no key",
                "UPDATE provisioning_account SET email_keys = '{}' WHERE id = %(ada)s",
            ),
            (
                "account:keys-follow",
                "a fingerprint is another's",
                "UPDATE provisioning_account a SET fingerprint = b.fingerprint FROM provisioning_account b"
                " WHERE a.id = %(ada)s AND b.id = %(bob)s",
            ),
            (
                "account:keys-follow",
                "a name looks like another",
                "UPDATE provisioning_account SET user_name_skeleton = 'root' WHERE id = %(ada)s",
            ),
            (
                "identity:privileges-on-record",
                "whoever is protected is so no more",
                "UPDATE provisioning_identity SET break_glass = false WHERE id = %(local)s",
            ),
            (
                "identity:shows-its-sources",
                "somebody shows another's e-mail",
                "UPDATE provisioning_identity SET email = 'evil@acme.example', email_key = 'evil@acme.example'"
                " WHERE id = %(bob_identity)s",
            ),
            (
                "identity:shows-its-sources",
                "somebody is recognised by another's e-mail",
                "UPDATE provisioning_identity SET email_key = 'evil@acme.example' WHERE id = %(bob_identity)s",
            ),
            (
                "identity:shows-its-sources",
                "somebody shows another's name",
                "UPDATE provisioning_identity SET user_name = 'ada@acme.example' WHERE id = %(bob_identity)s",
            ),
        ]
    ],
)
def test_it_is_seen_whichever_way_it_is_broken(law: str, statement: str, ids: Ids) -> None:
    break_by([statement], ids)
    assert law in {name for name, _, _ in found(ids)}


class TestExceptions:
    """What looks like a broken law and is none."""

    def test_a_hold_that_an_administrator_lifted(self, ids: Ids) -> None:
        identity = Identity.objects.get(pk=ids["bob_identity"])
        people.lift_hold(identity=identity, kind=HoldKind.SCIM, reason="known", actor=OPERATOR)
        assert found(ids) == []

    def test_a_hold_that_was_placed_again_and_then_lost(self, acme: House, ids: Ids) -> None:
        identity = Identity.objects.get(pk=ids["bob_identity"])
        people.lift_hold(identity=identity, kind=HoldKind.SCIM, reason="known", actor=OPERATOR)
        for intent in (Intent.ENABLE, Intent.DISABLE):
            submit(pushed(acme, intent, account_id=ids["bob"]))
        break_by(BROKEN["account:inactive-holds"], ids)
        assert [name for name, _, _ in found(ids)] == ["account:inactive-holds"]

    def test_a_key_that_returned_lifts_what_its_deletion_placed(self, acme: House, ids: Ids) -> None:
        assert push(acme, user("cleo@acme.example", "e3")).reason == "account:returned"
        assert found(ids) == []

    def test_a_session_whose_end_is_ordered(self, ids: Ids) -> None:
        identity = Identity.objects.get(pk=ids["ada_identity"])
        people.place_hold(identity=identity, kind=HoldKind.SECURITY, reason="a story", actor=OPERATOR)
        assert found(ids) == []
        delivery.drain()
        session_of(identity)
        assert [name for name, _, _ in found(ids)] == ["session:of-the-enabled"]

    def test_a_session_that_is_over(self, ids: Ids) -> None:
        session_of(Identity.objects.get(pk=ids["held_identity"]), ends_unused_at=now() - timedelta(minutes=1))
        assert found(ids) == []

    def test_whom_a_waiting_account_may_be(self, acme: House, ids: Ids) -> None:
        """Row 13b: a waiting account holds its candidates of the same connection."""
        number = {EXTENSION: {"employeeNumber": "7"}}
        first = push(acme, user("eve@acme.example", "e7", **number))
        second = push(acme, user("eva@acme.example", "e8", **number))
        assert second.reason == "account:link-pending"
        submit(pushed(acme, Intent.DISABLE, account_id=second.account_id, profile=Profile(hr_number="7")))
        assert Identity.objects.get(pk=first.identity_id).holds.filter(source_account_id=second.account_id)
        assert found(ids) == []
        submit(pushed(acme, Intent.DELETE, account_id=second.account_id))
        assert found(ids) == []

    def test_a_hold_that_went_with_its_account_and_waited_with_it(self, acme: House, ids: Ids) -> None:
        bob, cleo = Account.objects.get(pk=ids["bob"]), push(acme, user("zoe@acme.example", "e9"))
        submit(pushed(acme, Intent.DELETE, account_id=cleo.account_id))
        other = Identity.objects.get(pk=cleo.identity_id)
        linking.link(account=bob, identity=other, reason="hers", actor=OPERATOR)
        assert found(ids) == []
        bob.refresh_from_db()
        linking.unlink(account=bob, reason="not hers", actor=OPERATOR)
        delivery.drain()
        assert found(ids) == []
        bob.refresh_from_db()
        linking.separate(account=bob, reason="his own", actor=OPERATOR)
        assert found(ids) == []

    def test_a_duplicate_that_ended_in_the_other_account(self, acme: House, ids: Ids) -> None:
        login = Identity.objects.get(accounts=ids["jit"])
        delivered = Account.objects.get(pk=push(acme, user("jim@acme.example", "e9")).account_id)
        outcome = linking.link(
            account=delivered, identity=login, reason="one", actor=OPERATOR, fold_duplicate=True
        )
        assert outcome.reason == "account:folded"
        delivery.drain()
        assert found(ids) == []

    def test_what_a_merge_lifted_of_whoever_was_merged_twice_more(self, acme: House, ids: Ids) -> None:
        loser = Identity.objects.get(accounts=ids["jit"])
        came = [push(acme, user("jim@acme.example", "e9"))]
        came += [
            push(extend(acme.tenant, name), user(f"jim@{name}.example", "j1")) for name in ("Third", "Fourth")
        ]
        for outcome in came:
            winner = Identity.objects.get(pk=outcome.identity_id)
            assert merging.merge(winner=winner, loser=loser, reason="one", actor=OPERATOR).accepted
            delivery.drain()
            assert found(ids) == []
            loser = winner

    @pytest.mark.parametrize("kind", [HoldKind.ADMIN, HoldKind.EXPIRY])
    def test_a_hold_that_the_audit_lifted(self, ids: Ids, kind: HoldKind) -> None:
        whose = (
            Identity.objects.get(pk=ids["held_identity"])
            if kind is HoldKind.ADMIN
            else Identity.objects.get(accounts=ids["jit"])
        )
        people.lift_hold(identity=whose, kind=kind, reason="known", actor=OPERATOR)
        assert found(ids) == []

    def test_a_link_that_was_moved(self, acme: House, ids: Ids) -> None:
        held = Identity.objects.get(pk=ids["bob_identity"])
        waits = Account.objects.get(pk=ids["waits"])
        linking.link(account=waits, identity=held, reason="his", actor=OPERATOR)
        assert found(ids) == []
        other = push(acme, user("zoe@acme.example", "e9"))
        moved = "UPDATE provisioning_account SET identity_id = %(zoe)s WHERE id = %(waits)s"
        break_by([moved], ids | {"zoe": other.identity_id})
        assert "audit:made-each-link" in [name for name, _, _ in found(ids)]


class TestCommand:
    def run(self, *arguments: str) -> tuple[int, Any]:
        said = StringIO()
        code = 0
        try:
            call_command("check_invariants", *arguments, "--json", stdout=said)
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, json.loads(said.getvalue())

    def test_all_is_well(self, ids: Ids, globex: House) -> None:
        assert self.run() == (0, {"laws": len(LAWS) + len(INSTALLATION), "tenants": 2, "broken": []})
        said = StringIO()
        call_command("check_invariants", "--tenant", "acme", stdout=said)
        assert said.getvalue() == f"All {len(LAWS)} laws hold in 1 tenants.\n"

    def test_a_broken_law_is_named_with_its_rows_and_ends_with_1(self, ids: Ids, globex: House) -> None:
        break_by(BROKEN["account:inactive-holds"], ids)
        code, answer = self.run()
        assert code == 1
        (one,) = answer["broken"]
        assert one == {
            "law": "account:inactive-holds",
            "says": one["says"],
            "tenant": "acme",
            "about": "account",
            "count": 1,
            "rows": [{"id": str(ids["bob"]), "beside": str(ids["bob_identity"])}],
        }
        assert self.run("--tenant", "globex")[0] == 0
        said = StringIO()
        with pytest.raises(SystemExit, match="1"):
            call_command("check_invariants", stdout=said)
        assert str(ids["bob"]) in said.getvalue()
        assert "bob@" not in said.getvalue()


class TestEveryNight:
    def measured(self) -> dict[str, float]:
        laws.measure()
        samples = next(iter(laws.BROKEN_LAWS.collect())).samples
        return {one.labels["law"]: one.value for one in samples if one.value}

    def open(self) -> list[Finding]:
        return list(Finding.objects.filter(kind="hub:law-broken", status="open"))

    def test_a_broken_law_is_one_finding_until_it_holds_again(self, acme: House, ids: Ids) -> None:
        break_by(BROKEN["account:inactive-holds"], ids)
        for _ in range(2):
            assert [one.law.name for one in laws.check(at=now())] == ["account:inactive-holds"]
            (finding,) = self.open()
        assert finding.severity == "high"
        assert finding.evidence["account"] == [str(ids["bob"])]
        assert "bob@" not in json.dumps(finding.evidence)
        assert self.measured() == {"account:inactive-holds": 1}
        submit(pushed(acme, Intent.ENABLE, account_id=ids["bob"]))
        assert laws.check(at=now()) == []
        assert self.open() == []
        assert self.measured() == {}

    def test_what_a_person_has_closed_is_asked_again_about_other_rows(self, acme: House, ids: Ids) -> None:
        break_by(BROKEN["account:inactive-holds"], ids)
        laws.check(at=now())
        Finding.objects.filter(kind="hub:law-broken").update(status="approved")
        laws.check(at=now())
        assert self.open() == []
        other = push(acme, user("zoe@acme.example", "e9", active=False))
        Identity.objects.get(pk=other.identity_id).holds.all().delete()
        laws.check(at=now())
        assert len(self.open()) == 1

    def test_what_the_installation_breaks_is_told_without_a_tenant(self, ids: Ids) -> None:
        break_by(BROKEN["audit:append-only"], ids)
        (one,) = laws.check(at=now())
        assert (one.tenant_id, one.rows[0].id, one.rows[0].beside) == (
            None,
            "append_only_rows",
            "provisioning_auditrecord",
        )
        assert self.open() == []
        assert self.measured() == {"audit:append-only": 1}
