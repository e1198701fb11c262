"""`manage.py verify_domain`: looks for a domain's record in the DNS, or takes the operator's word."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from provisioning.management.base import HubCommand, operator, tenant_named
from provisioning.models import TenantDomain
from provisioning.services import configuration, domains


class Command(HubCommand):
    help = (
        "Verifies a tenant's e-mail domain by its TXT record; ends with 1 while the domain is not verified."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="Short name of the tenant.")
        parser.add_argument("--domain", required=True, help="A domain that add_domain has added.")
        parser.add_argument(
            "--by-hand", metavar="REASON", help="Asks no DNS: you vouch for it. Why; kept in the audit."
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant, name = tenant_named(options["tenant"]), configuration.domain_name(options["domain"])
        row = TenantDomain.objects.filter(tenant=tenant, domain=name).first()
        if row is None:
            raise CommandError(f"{tenant.slug} has no domain {name!r}; add_domain adds it.")
        if options["by_hand"] is not None:
            domains.confirm_domain(domain=row, reason=options["by_hand"], actor=operator())
            sentence = f"{name} is verified by your word."
        else:
            sentence = domains.check_domain(domain=row, actor=operator()).sentence
        row.refresh_from_db()
        return {
            "domain": name,
            "verified": row.verified_at is not None,
            "verified_how": row.verified_how,
            "told": sentence,
        }

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield answer["told"]

    def exit_code(self, answer: dict[str, Any]) -> int:
        return 0 if answer["verified"] else 1
