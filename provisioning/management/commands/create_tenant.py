"""`manage.py create_tenant`: an organisation and the e-mail domains that are its own."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from provisioning.management.base import HubCommand, ask_why, operator, pairs
from provisioning.models import TenantDomain
from provisioning.services import configuration


class Command(HubCommand):
    help = "Creates a tenant. A domain that you name counts as verified: you vouch for it."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="Short name: letters, digits, hyphens.")
        parser.add_argument("--name", default="", help="Name that people read (default: the short name).")
        parser.add_argument("--domain", action="append", default=[], help="E-mail domain; may be repeated.")
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = configuration.create_tenant(
            slug=options["slug"],
            name=options["name"] or options["slug"],
            domains=options["domain"],
            actor=operator(),
            reason=options["reason"],
        )
        domains = TenantDomain.objects.filter(tenant=tenant).values_list("domain", flat=True)
        return {"id": str(tenant.pk), "slug": tenant.slug, "name": tenant.name, "domains": list(domains)}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield from pairs(
            [
                ("Tenant", f"{answer['name']} ({answer['slug']})"),
                ("Id", answer["id"]),
                ("Domains", ", ".join(answer["domains"]) or "none"),
            ]
        )
