"""The tenant's page: its administrator adds a domain, reads the record, presses the button; a superuser vouches."""

from collections.abc import Iterator

import pytest
from django.test import Client

from provisioning.models import AuditRecord, TenantDomain
from provisioning.services import domains
from tests.names import Zone, serving

from ..cast import OPERATOR
from .scene import Scene


@pytest.fixture
def zone(settings) -> Iterator[Zone]:
    with serving() as zone:
        settings.HUB_DNS_SERVERS = [zone.address]
        yield zone


def page(ours: Scene, rest: str = "change/") -> str:
    return f"/admin/provisioning/tenant/{ours.where.tenant.pk}/{rest}"


def add(admin: Client, ours: Scene, name: str = "labs.example") -> TenantDomain:
    assert admin.post(page(ours, "add-domain/"), {"domain": name, "reason": "x"}).status_code == 302
    return TenantDomain.objects.get(tenant=ours.where.tenant, domain=name)


def said(answer: object) -> str:
    (message,) = answer.context["messages"]
    return str(message)


def test_a_tenants_administrator_proves_a_domain(admin: Client, ours: Scene, zone: Zone) -> None:
    domain = add(admin, ours)
    shown = admin.get(page(ours)).content.decode()
    assert domain.record_name in shown
    assert domain.record_value in shown
    assert "Not verified" in shown
    assert "Confirm by hand" not in shown

    check = page(ours, f"check-domain/{domain.pk}/")
    assert admin.get(check, follow=True).status_code == 200
    assert zone.asked == []  # an address that was opened asks nothing
    failed = admin.post(check, follow=True)
    assert "the DNS knows no such name" in said(failed)
    zone.texts[domain.record_name] = [f'"{domain.record_value}"']
    assert said(admin.post(check, follow=True)).endswith("labs.example is verified.")
    assert "Verified by DNS" in admin.get(page(ours)).content.decode()


@pytest.mark.usefixtures("minute")
def test_what_the_service_refuses_is_said(admin: Client, ours: Scene, theirs: Scene, zone: Zone) -> None:
    for name, sentence in (
        ("gmail.com", "Anybody may have an address"),
        ("localhost", "not a domain name"),
        (theirs.where.domain, "Another tenant has verified this domain"),
    ):
        answer = admin.post(page(ours, "add-domain/"), {"domain": name, "reason": "x"})
        assert answer.status_code == 200
        assert sentence in answer.content.decode(), name
    domain = add(admin, ours)
    for _ in range(domains.CHECKS_A_MINUTE + 1):
        answer = admin.post(page(ours, f"check-domain/{domain.pk}/"), follow=True)
    assert "try again in" in said(answer)


def test_a_superuser_confirms_by_hand_and_with_a_reason(root: Client, admin: Client, ours: Scene) -> None:
    domain = add(root, ours)
    confirm = page(ours, f"confirm-domain/{domain.pk}/")
    assert admin.get(confirm).status_code == 403
    assert admin.post(confirm, {"reason": "Trust me"}).status_code == 403
    assert root.post(confirm, {"reason": ""}).status_code == 200
    domain.refresh_from_db()
    assert domain.verified_at is None
    assert root.post(confirm, {"reason": "Contract 4711"}).status_code == 302
    domain.refresh_from_db()
    assert domain.verified_how == "superuser"


def test_a_domain_is_removed_with_a_reason(admin: Client, ours: Scene) -> None:
    domain = TenantDomain.objects.get(domain=ours.where.domain)
    remove = page(ours, f"remove-domain/{domain.pk}/")
    assert ours.where.connection.name in admin.get(remove).content.decode()
    assert admin.post(remove, {"reason": ""}).status_code == 200
    assert admin.post(remove, {"reason": "Sold"}).status_code == 302
    assert not TenantDomain.objects.filter(pk=domain.pk).exists()
    assert not ours.where.connection.granted_domains.exists()
    assert AuditRecord.objects.get(reason="tenant:domain-removed").tenant_id == ours.where.tenant.pk


def test_another_tenants_domain_is_not_on_ones_own_page(admin: Client, ours: Scene, theirs: Scene) -> None:
    """The tenant's id is one's own and the domain's is not."""
    foreign = domains.claim_domain(
        tenant=theirs.where.tenant, domain="labs.example", actor=OPERATOR, reason="As agreed"
    )
    for act in ("check-domain", "confirm-domain", "remove-domain"):
        answer = admin.post(page(ours, f"{act}/{foreign.pk}/"), {"reason": "x"})
        assert answer.status_code == 404, act
    assert foreign.record_value not in admin.get(page(ours)).content.decode()
    foreign.refresh_from_db()
    assert foreign.checked_at is None


def test_a_connections_page_says_which_domains_wait(admin: Client, ours: Scene) -> None:
    add(admin, ours)
    address = f"/admin/provisioning/connection/{ours.where.connection.pk}/change/"
    form = admin.get(address).context["adminform"].form
    assert form.fields["domains"].choices == [(ours.where.domain, ours.where.domain)]
    assert form.initial["domains"] == [ours.where.domain]
    told = form.fields["domains"].help_text
    assert "Not verified yet: labs.example." in told
    assert page(ours) in told
