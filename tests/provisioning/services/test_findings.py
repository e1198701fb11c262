"""What people do with findings: somebody sees to each, by a day, and what was answered is not asked again."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from identity_hub.core.clock import now
from provisioning.decision.types import Actor, Severity
from provisioning.models import (
    Account,
    AuditRecord,
    Distinction,
    Finding,
    Hold,
    Identity,
    Merge,
    OutboxMessage,
    Override,
    ScimToken,
)
from provisioning.selectors.findings import administrators
from provisioning.services import configuration, findings, tokens
from provisioning.services.invalid import Invalid

from ..admin.scene import group_of
from ..cast import OPERATOR, House, extend, push, user

pytestmark = pytest.mark.django_db


def administrator(where: House, name: str = "root") -> Identity:
    return configuration.create_local_identity(
        login_name=f"{name}-{where.tenant.slug}",
        password="correct horse battery staple",
        tenant=where.tenant,
        tenant_administrator=True,
        actor=OPERATOR,
        reason="As agreed",
    )


def asked(where: House, severity: str = "medium", days: int = 0, print_: str = "x") -> Finding:
    return Finding.objects.create(
        tenant=where.tenant,
        connection=where.connection,
        kind="account:unconfirmed",
        severity=severity,
        fingerprint=print_,
        opened_at=now() - timedelta(days=days),
    )


def weak_match(where: House) -> Finding:
    """Two IdPs speak of one e-mail, and nobody vouches for it."""
    push(where, user(f"ada@{where.domain}", "e1"))
    other = extend(where.tenant, "Other")
    push(other, user("ada.l", "e2", emails=[{"value": f"ada@{where.domain}"}]))
    return Finding.objects.get(kind="account:weak-match")


def breaks(event: str, table: str) -> None:
    """From now on PostgreSQL fails whoever does this to the table; it ends with the test's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE disk_full; END'"
        )
        cursor.execute(f"CREATE TRIGGER fail BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION fail()")


def stored() -> dict[str, list[str]]:
    """Every row of the domain, as it is."""
    models = (Account, AuditRecord, Distinction, Finding, Hold, Identity, Merge, OutboxMessage, Override)
    return {model.__name__: sorted(map(repr, model.objects.values_list())) for model in models}


class TestOwner:
    def test_an_administrator_sees_to_a_finding(self, acme: House) -> None:
        finding, owner = asked(acme), administrator(acme)
        assert findings.assign(finding=finding, owner=owner, actor=OPERATOR, reason="hers").accepted
        finding.refresh_from_db()
        assert finding.owner == owner
        record = AuditRecord.objects.get(reason="finding:assigned")
        assert (record.object_id, record.changes) == (
            finding.pk,
            [{"change": "finding", "owner_id": str(owner.pk)}],
        )
        findings.assign(finding=finding, owner=None, actor=OPERATOR, reason="As agreed")
        finding.refresh_from_db()
        assert finding.owner is None

    def test_nobody_else_does(self, acme: House, globex: House) -> None:
        finding = asked(acme)
        person = Identity.objects.get(pk=push(acme, user("ada@acme.example", "e1")).identity_id)
        for stranger in (administrator(globex), person):
            with pytest.raises(Invalid):
                findings.assign(finding=finding, owner=stranger, actor=OPERATOR, reason="As agreed")

    def test_who_administers_by_an_entitlement_may(self, acme: House) -> None:
        outcome = push(acme, user("sam@acme.example", "e1"))
        group = group_of(acme, "Managers", [outcome.account_id])
        entitlement = configuration.create_entitlement(
            tenant=acme.tenant, name="Staff", grants_staff=True, actor=OPERATOR, reason="As agreed"
        )
        assert administrators(acme.tenant.pk) == []
        configuration.map_entitlement(
            entitlement=entitlement, group=group, actor=OPERATOR, reason="As agreed"
        )
        assert [person.pk for person in administrators(acme.tenant.pk)] == [outcome.identity_id]

    def test_who_administers_by_a_group_of_logins_may(self, acme: House) -> None:
        configuration.change_connection(
            connection=acme.connection,
            changes={"group_attribute": "groups"},
            actor=OPERATOR,
            reason="As agreed",
        )
        outcome = push(acme, user("sam@acme.example", "e1"))
        entitlement = configuration.create_entitlement(
            tenant=acme.tenant, name="Staff", grants_staff=True, actor=OPERATOR, reason="As agreed"
        )
        configuration.allow_group(
            connection=acme.connection,
            value="Board",
            entitlement=entitlement,
            actor=OPERATOR,
            reason="As agreed",
        )
        Account.objects.filter(pk=outcome.account_id).update(assertion={"groups": ["Board"]})
        assert [person.pk for person in administrators(acme.tenant.pk)] == [outcome.identity_id]


class TestDue:
    @pytest.mark.parametrize(("severity", "days"), [("high", 3), ("medium", 14), ("low", 60)])
    def test_the_severity_says_when_a_finding_is_due(self, acme: House, severity: str, days: int) -> None:
        asked(acme, severity, days - 1, "one")
        late = asked(acme, severity, days + 1, "two")
        assert list(Finding.objects.overdue(now())) == [late]

    def test_a_person_may_say_another_day(self, acme: House) -> None:
        finding = asked(acme, Severity.HIGH, days=5)
        until = now() + timedelta(days=3)
        findings.postpone(finding=finding, due_at=until, actor=OPERATOR, reason="the HR system moves")
        assert Finding.objects.with_due().get().due == until
        assert AuditRecord.objects.get(reason="finding:postponed").object_id == finding.pk
        findings.postpone(finding=finding, due_at=None, actor=OPERATOR, reason="moved")
        assert Finding.objects.overdue(now()).exists()

    def test_a_day_that_is_over_is_refused(self, acme: House) -> None:
        with pytest.raises(Invalid):
            findings.postpone(finding=asked(acme), due_at=now(), actor=OPERATOR, reason="x")


class TestMemory:
    def test_who_is_not_the_same_person_is_told_apart_for_good(self, acme: House) -> None:
        finding = weak_match(acme)
        findings.decide(finding=finding, approve=False, reason="a namesake", actor=OPERATOR)
        own = Account.objects.get(pk=finding.account_id).identity_id
        pair = Distinction.objects.get()
        assert {pair.one_id, pair.other_id} == {own, finding.identity_id}
        assert pair.one_id < pair.other_id
        assert pair.finding_id == finding.pk

    def test_who_is_the_same_person_is_not(self, acme: House) -> None:
        findings.decide(finding=weak_match(acme), approve=True, reason="she is", actor=OPERATOR)
        assert not Distinction.objects.exists()

    def test_without_it_the_decision_is_not_made_either(self, acme: House) -> None:
        finding = weak_match(acme)
        breaks("INSERT", "provisioning_distinction")
        before = stored()
        with pytest.raises(OperationalError):
            findings.decide(finding=finding, approve=False, reason="a namesake", actor=OPERATOR)
        assert stored() == before

    def test_a_pair_is_kept_once_whichever_way_round(self, acme: House) -> None:
        one, other = (push(acme, user(f"{name}@acme.example", name)).identity_id for name in ("a", "b"))
        for pair in ((one, other), (other, one), (one, one)):
            findings.tell_apart(tenant_id=acme.tenant.pk, pairs=[pair], actor=OPERATOR)
        assert Distinction.objects.count() == 1


class TestOwnersOfCredentials:
    def test_who_makes_a_token_answers_for_it(self, acme: House) -> None:
        owner = administrator(acme)
        actor = Actor(kind="identity", id=str(owner.pk))
        token, _ = tokens.issue_token(connection=acme.connection, actor=actor, reason="As agreed")
        client, _ = tokens.create_client(connection=acme.connection, actor=actor, reason="As agreed")
        assert (token.owner, client.owner) == (owner, owner)

    def test_a_command_and_a_stranger_leave_none(self, acme: House, globex: House) -> None:
        stranger = Actor(kind="identity", id=str(administrator(globex).pk))
        for actor in (OPERATOR, stranger):
            token, _ = tokens.issue_token(connection=acme.connection, actor=actor, reason="As agreed")
            assert token.owner is None

    def test_who_rotates_a_token_answers_for_its_successor(self, acme: House) -> None:
        former, later = administrator(acme), administrator(acme, "later")
        token, _ = tokens.issue_token(
            connection=acme.connection, actor=Actor(kind="identity", id=str(former.pk)), reason="As agreed"
        )
        new, _ = tokens.rotate_token(
            token=token, actor=Actor(kind="identity", id=str(later.pk)), reason="As agreed"
        )
        assert new.owner == later
        ScimToken.objects.filter(pk=token.pk).update(revoked_at=now())
        newest, _ = tokens.rotate_token(token=new, actor=OPERATOR, reason="As agreed")
        assert newest.owner == later
