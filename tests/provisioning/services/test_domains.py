"""Whose domain it is: claimed, proved by a real DNS server or by a superuser, looked at again, never lost by itself."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from identity_hub.core import dns
from identity_hub.core.clock import now
from provisioning.decision.types import Actor
from provisioning.models import (
    AuditRecord,
    AuditValue,
    ConnectionDomain,
    Finding,
    OutboxMessage,
    Tenant,
    TenantDomain,
)
from provisioning.selectors import connections
from provisioning.services import configuration, domains, findings
from provisioning.services.configuration import Invalid
from tests.names import Zone, serving

from ..cast import OPERATOR, House

pytestmark = pytest.mark.django_db

DOMAIN = "corp.example"
NAME = f"_identity-hub.{DOMAIN}"


@pytest.fixture
def zone(settings) -> Iterator[Zone]:
    with serving() as zone:
        settings.HUB_DNS_SERVERS = [zone.address]
        yield zone


@pytest.fixture
def administrator(acme: House) -> Actor:
    return administrator_of(acme.tenant)


def administrator_of(tenant: Tenant) -> Actor:
    row = configuration.create_local_identity(
        login_name=f"admin-{tenant.slug}",
        password="a long enough password",
        tenant=tenant,
        tenant_administrator=True,
        actor=OPERATOR,
        reason="As agreed",
    )
    return Actor(kind="identity", id=str(row.pk))


def claimed(where: House, actor: Actor, name: str = DOMAIN) -> TenantDomain:
    return domains.claim_domain(tenant=where.tenant, domain=name, actor=actor, reason="As agreed")


def publish(zone: Zone, domain: TenantDomain) -> None:
    zone.texts[domain.record_name] = ['"something else"', f'"{domain.record_value}"']


def proved(where: House, zone: Zone) -> TenantDomain:
    domain = claimed(where, OPERATOR)
    publish(zone, domain)
    assert domains.check_domain(domain=domain, actor=OPERATOR).found
    domain.refresh_from_db()
    return domain


def acts(reason: str) -> list[dict[str, object]]:
    return [change for row in AuditRecord.objects.filter(reason=reason) for change in row.changes]


class TestClaiming:
    def test_a_claim_proves_nothing(self, acme: House, administrator: Actor) -> None:
        domain = claimed(acme, administrator, " Corp.Example. ")
        assert (domain.domain, domain.verified_at, domain.verified_how) == (DOMAIN, None, "")
        assert domain.record_name == NAME
        assert len(domain.challenge) == 32
        assert acts("tenant:domain-added") == [{"change": "domain", "domain": DOMAIN}]
        assert connections.by_domain(DOMAIN) == []
        assert DOMAIN not in connections.granted_domains(acme.connection)
        with pytest.raises(Invalid, match="not a verified domain"):
            configuration.change_connection(
                connection=acme.connection,
                changes={},
                domains=[DOMAIN],
                actor=administrator,
                reason="As agreed",
            )

    def test_the_same_claim_again_keeps_its_record(self, acme: House, administrator: Actor) -> None:
        assert claimed(acme, administrator).challenge == claimed(acme, administrator).challenge
        assert len(acts("tenant:domain-added")) == 1

    def test_two_tenants_get_two_records(self, acme: House, globex: House) -> None:
        assert claimed(acme, OPERATOR).challenge != claimed(globex, OPERATOR).challenge

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            pytest.param("localhost", "not a domain", id="a single label"),
            pytest.param("com", "not a domain", id="a top-level domain"),
            pytest.param("*.corp.example", "not a domain", id="a wildcard"),
            pytest.param("192.0.2.1", "not a domain", id="an address"),
            pytest.param("ada@corp.example", "not a domain", id="an e-mail address"),
            pytest.param("bücher.example", "xn--", id="letters that the DNS does not know"),
            pytest.param("", "not a domain", id="nothing"),
            pytest.param("gmail.com", "Anybody", id="everybody's domain"),
            pytest.param("Outlook.com.", "Anybody", id="everybody's domain, written otherwise"),
        ],
    )
    def test_what_cannot_be_ones_own_is_refused(
        self, acme: House, administrator: Actor, name: str, says: str
    ) -> None:
        with pytest.raises(Invalid, match=says):
            claimed(acme, administrator, name)
        assert not TenantDomain.objects.filter(verified_at=None).exists()

    def test_another_tenants_domain_is_refused_without_a_name(
        self, acme: House, globex: House, administrator: Actor
    ) -> None:
        with pytest.raises(Invalid, match="Another tenant") as refused:
            claimed(acme, administrator, "globex.example")
        assert "globex" not in refused.value.message.lower()

    def test_claims_are_limited(
        self, acme: House, administrator: Actor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(domains, "UNPROVED_AT_MOST", 1)
        claimed(acme, administrator)
        with pytest.raises(Invalid, match="Too many"):
            claimed(acme, administrator, "second.example")
        claimed(acme, administrator)  # the first is there, and stays


class TestChecking:
    def test_the_record_proves_it(self, acme: House, zone: Zone, administrator: Actor) -> None:
        domain = claimed(acme, administrator)
        publish(zone, domain)
        checked = domains.check_domain(domain=domain, actor=administrator)
        assert checked.found
        assert checked.sentence == f"The record was found at {NAME}: {DOMAIN} is verified."
        domain.refresh_from_db()
        assert domain.verified_how == "dns"
        assert domain.verified_at is not None
        assert acts("tenant:domain-verified")[0] == {"change": "domain", "domain": DOMAIN, "how": "dns"}
        configuration.change_connection(
            connection=acme.connection, changes={}, domains=[DOMAIN], actor=administrator, reason="As agreed"
        )
        assert connections.granted_domains(acme.connection) == {DOMAIN}
        told = {state.domain: (state.granted, state.verified_how) for state in states(acme)}
        assert told == {"acme.example": (False, "operator"), DOMAIN: (True, "dns")}

    @pytest.mark.parametrize(
        ("texts", "trouble", "found"),
        [
            pytest.param(None, "", "the DNS knows no such name", id="no such name"),
            pytest.param([], "", "the name exists, but has no TXT record", id="no record"),
            pytest.param(['"v=spf1 -all"'], "", "found “v=spf1 -all” instead", id="another value"),
            pytest.param(['"a"', '"a2"', '"a3"'], "", "and 2 more instead", id="several other values"),
            pytest.param([f'"{"x" * 200}"'], "", f"found “{'x' * 80}…” instead", id="a long value"),
            pytest.param(
                ['"identity-hub-verification=00000000000000000000000000000000"'],
                "",
                "found “identity-hub-verification=0000",
                id="another tenant's record",
            ),
            pytest.param(None, "silent", "nobody answered within", id="no answer"),
            pytest.param(None, "fails", "the name servers could not answer", id="broken servers"),
        ],
    )
    def test_a_failure_says_what_was_looked_for_and_what_was_found(
        self,
        acme: House,
        zone: Zone,
        monkeypatch: pytest.MonkeyPatch,
        texts: list[str] | None,
        trouble: str,
        found: str,
    ) -> None:
        monkeypatch.setattr(dns, "SECONDS", 0.5)
        domain = claimed(acme, OPERATOR)
        if texts is not None:
            zone.texts[NAME] = texts
        if trouble:
            setattr(zone, trouble, True)
        checked = domains.check_domain(domain=domain, actor=OPERATOR)
        assert not checked.found
        assert checked.sentence.startswith(f"Looked for the TXT record {domain.record_value} at {NAME}; ")
        assert found in checked.sentence
        domain.refresh_from_db()
        assert (domain.verified_at, domain.record_seen_at) == (None, None)
        assert domain.checked_at is not None

    def test_ones_record_proves_nothing_for_the_next(self, acme: House, globex: House, zone: Zone) -> None:
        ours, theirs = claimed(acme, OPERATOR), claimed(globex, OPERATOR)
        publish(zone, ours)
        assert not domains.check_domain(domain=theirs, actor=OPERATOR).found

    def test_who_proves_it_second_is_refused_without_a_name(
        self, acme: House, globex: House, zone: Zone
    ) -> None:
        ours, theirs = claimed(acme, OPERATOR), claimed(globex, OPERATOR)
        zone.texts[NAME] = [f'"{ours.record_value}"', f'"{theirs.record_value}"']
        assert domains.check_domain(domain=theirs, actor=OPERATOR).found
        with pytest.raises(Invalid, match="Another tenant"):
            domains.check_domain(domain=ours, actor=OPERATOR)
        ours.refresh_from_db()
        assert ours.verified_at is None

    @pytest.mark.usefixtures("minute")
    def test_the_dns_is_not_asked_without_end(self, acme: House, globex: House, zone: Zone) -> None:
        ours, theirs = claimed(acme, OPERATOR), claimed(globex, OPERATOR)
        for _ in range(domains.CHECKS_A_MINUTE):
            domains.check_domain(domain=ours, actor=OPERATOR)
        asked = len(zone.asked)
        with pytest.raises(Invalid, match=r"try again in \d+ seconds"):
            domains.check_domain(domain=ours, actor=OPERATOR)
        assert len(zone.asked) == asked
        domains.check_domain(domain=theirs, actor=OPERATOR)  # another tenant has its own

    def test_a_domain_that_is_gone_is_no_error(self, acme: House, zone: Zone) -> None:
        domain = claimed(acme, OPERATOR)
        domains.remove_domain(domain=claimed(acme, OPERATOR), reason="typo", actor=OPERATOR)
        with pytest.raises(Invalid, match="removed"):
            domains.check_domain(domain=domain, actor=OPERATOR)


class TestByHand:
    def test_a_superuser_confirms_with_a_reason(self, acme: House) -> None:
        root = configuration.create_local_identity(
            login_name="root",
            password="a long enough password",
            superuser=True,
            actor=OPERATOR,
            reason="As agreed",
        )
        domain = claimed(acme, OPERATOR)
        row = domains.confirm_domain(
            domain=domain, reason="Contract 4711", actor=Actor(kind="identity", id=str(root.pk))
        )
        assert row.verified_how == "superuser"
        record = AuditRecord.objects.filter(reason="tenant:domain-verified").first()
        assert record is not None
        assert AuditValue.objects.get(pk=record.pk).values == {"reason": "Contract 4711"}

    def test_nobody_else_does(self, acme: House, administrator: Actor) -> None:
        domain = claimed(acme, administrator)
        with pytest.raises(Invalid, match="superuser"):
            domains.confirm_domain(domain=domain, reason="Trust me", actor=administrator)
        with pytest.raises(Invalid, match="Say how you know"):
            domains.confirm_domain(domain=domain, reason=" ", actor=OPERATOR)
        domain.refresh_from_db()
        assert domain.verified_at is None

    def test_a_domain_of_another_tenant_stays_there(self, acme: House, globex: House) -> None:
        ours, theirs = claimed(acme, OPERATOR), claimed(globex, OPERATOR)
        domains.confirm_domain(domain=theirs, reason="known", actor=OPERATOR)
        with pytest.raises(Invalid, match="Another tenant"):
            domains.confirm_domain(domain=ours, reason="known", actor=OPERATOR)


def test_a_removed_domain_is_nobodys(acme: House, globex: House, administrator: Actor) -> None:
    domain = TenantDomain.objects.get(domain="acme.example")
    assert ConnectionDomain.objects.filter(domain=domain).exists()
    domains.remove_domain(domain=domain, reason="sold", actor=administrator)
    assert connections.granted_domains(acme.connection) == frozenset()
    assert acts("tenant:domain-removed") == [{"change": "domain", "domain": "acme.example"}]
    assert claimed(globex, administrator_of(globex.tenant), "acme.example").verified_at is None


class TestLookingAgain:
    def test_a_record_that_stays_away_for_a_week_asks_a_person_once(self, acme: House, zone: Zone) -> None:
        domain = proved(acme, zone)
        start = now()
        del zone.texts[NAME]
        opened = [
            finding
            for day in range(1, 12)
            for finding in domains.look_again(at=start + timedelta(days=day, minutes=1))
        ]
        assert [(finding.kind, finding.severity, finding.tenant_id) for finding in opened] == [
            ("domain:record-gone", "medium", acme.tenant.pk)
        ]
        assert opened[0].opened_at == start + timedelta(days=7, minutes=1)
        assert opened[0].evidence["domain"] == DOMAIN
        assert OutboxMessage.objects.filter(topic="finding.opened").count() == 1
        domain.refresh_from_db()
        assert domain.verified_at is not None  # it never takes back what was proved

    def test_the_finding_closes_itself_and_the_next_absence_asks_anew(self, acme: House, zone: Zone) -> None:
        domain = proved(acme, zone)
        gone_for_a_week(zone)
        publish(zone, domain)
        assert domains.look_again(at=now() + timedelta(days=10)) == []
        assert status_of_findings() == ["obsolete"]
        del zone.texts[NAME]
        assert len(domains.look_again(at=now() + timedelta(days=20))) == 1

    def test_a_person_who_presses_the_button_closes_it_too(self, acme: House, zone: Zone) -> None:
        domain = proved(acme, zone)
        gone_for_a_week(zone)
        publish(zone, domain)
        domains.check_domain(domain=domain, actor=OPERATOR)
        assert status_of_findings() == ["obsolete"]

    def test_an_answered_question_is_not_asked_again(self, acme: House, zone: Zone) -> None:
        proved(acme, zone)
        gone_for_a_week(zone)
        for finding in Finding.objects.all():
            findings.decide(finding=finding, approve=False, reason="known", actor=OPERATOR)
        assert domains.look_again(at=now() + timedelta(days=30)) == []

    def test_a_removed_domain_asks_nothing(self, acme: House, zone: Zone) -> None:
        domain = proved(acme, zone)
        gone_for_a_week(zone)
        domains.remove_domain(domain=domain, reason="sold", actor=OPERATOR)
        assert status_of_findings() == ["obsolete"]

    @pytest.mark.parametrize("trouble", ["silent", "fails"])
    def test_a_dns_that_does_not_answer_says_nothing_about_the_record(
        self, acme: House, zone: Zone, monkeypatch: pytest.MonkeyPatch, trouble: str
    ) -> None:
        monkeypatch.setattr(dns, "SECONDS", 0.3)
        proved(acme, zone)
        setattr(zone, trouble, True)
        assert domains.look_again(at=now() + timedelta(days=30)) == []

    def test_each_is_asked_once_a_day_and_only_what_the_dns_proved(self, acme: House, zone: Zone) -> None:
        proved(acme, zone)
        zone.asked.clear()
        start = now()
        for hours in range(49):
            domains.look_again(at=start + timedelta(hours=hours, minutes=1))
        assert zone.asked == [NAME] * 2  # acme.example came by the operator's word

    def test_those_that_wait_longest_come_first(self, acme: House, zone: Zone) -> None:
        proved(acme, zone)
        second = claimed(acme, OPERATOR, "second.example")
        publish(zone, second)
        domains.check_domain(domain=second, actor=OPERATOR)
        zone.asked.clear()
        domains.look_again(at=now() + timedelta(days=2), at_most=1)
        domains.look_again(at=now() + timedelta(days=2), at_most=1)
        assert zone.asked == [NAME, second.record_name]


def gone_for_a_week(zone: Zone) -> None:
    del zone.texts[NAME]
    assert len(domains.look_again(at=week_later())) == 1


def week_later() -> datetime:
    return now() + timedelta(days=7, minutes=1)


def status_of_findings() -> list[str]:
    return list(Finding.objects.filter(kind="domain:record-gone").values_list("status", flat=True))


def states(where: House) -> list[connections.DomainState]:
    return connections.domain_states(where.connection)
