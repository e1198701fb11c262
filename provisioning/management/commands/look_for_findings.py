"""`manage.py look_for_findings`: asks now what the nightly job asks about a tenant's stored facts."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.management.base import HubCommand, table, tenant_named
from provisioning.selectors.timeline import meaning


class Command(HubCommand):
    help = (
        "Looks for duplicates, orphans, dormant accounts, contradictions and the like among what is stored of a "
        "tenant; opens a finding for each, and closes those whose case has gone. Nobody's access changes."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="Short name of the tenant.")

    def answer(self, **options: Any) -> dict[str, Any]:
        told = reconciliation.ask_tenant(tenant_named(options["tenant"]).pk, now())
        return {"kinds": {kind or "others": asdict(asked) for kind, asked in told.items()}}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield from table(
            ("Kind", "Opened", "Still there", "Closed", "Meaning"),
            [
                (kind, n["opened"], n["known"], n["closed"], meaning(kind) if ":" in kind else "")
                for kind, n in answer["kinds"].items()
            ],
        )
