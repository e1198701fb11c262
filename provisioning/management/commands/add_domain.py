"""`manage.py add_domain`: an e-mail domain that waits for its proof, and the record that proves it."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from provisioning.management.base import HubCommand, ask_why, operator, pairs, tenant_named
from provisioning.services import domains


class Command(HubCommand):
    help = "Adds an e-mail domain to a tenant and prints the TXT record that verify_domain looks for."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="Short name of the tenant.")
        parser.add_argument("--domain", required=True, help="The domain of people's e-mail addresses.")
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        row = domains.claim_domain(
            tenant=tenant_named(options["tenant"]),
            domain=options["domain"],
            actor=operator(),
            reason=options["reason"],
        )
        return {
            "id": str(row.pk),
            "domain": row.domain,
            "verified": row.verified_at is not None,
            "verified_how": row.verified_how,
            "record": {"type": "TXT", "name": row.record_name, "value": row.record_value},
        }

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        record = answer["record"]
        yield from pairs(
            [
                ("Domain", f"{answer['domain']}: {'verified' if answer['verified'] else 'not verified yet'}"),
                ("Record type", record["type"]),
                ("Name", record["name"]),
                ("Value", record["value"]),
            ]
        )
