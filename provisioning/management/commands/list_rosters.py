"""`manage.py list_rosters`: which listings a tenant's connections have, and what became of each."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from provisioning.management.base import HubCommand, connection_named, table, tenant_named
from provisioning.management.rosters import told
from provisioning.models import Roster

AT_MOST = 200


class Command(HubCommand):
    help = f"Lists rosters, the newest first, {AT_MOST} at most. `import_roster` loads one."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="Short name of the tenant.")
        parser.add_argument("--connection", default="", help="Only of this one: id or name.")
        parser.add_argument("--status", default="", choices=["", *Roster.Status], help="Only so.")

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"])
        rows = Roster.objects.filter(tenant=tenant).select_related("connection")
        if options["connection"]:
            rows = rows.filter(connection=connection_named(options["connection"], tenant))
        if options["status"]:
            rows = rows.filter(status=options["status"])
        return {
            "rosters": [
                {**told(roster), "connection_name": str(roster.connection)} for roster in rows[:AT_MOST]
            ]
        }

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        if not answer["rosters"]:
            yield "There are none."
            return
        yield from table(
            ("Roster", "Connection", "Source", "Status", "As of", "Rows", "Because"),
            [
                (
                    *(r["id"], r["connection_name"], r["source"], r["status"]),
                    *(r["as_of"][:19], r["rows"], r["code"]),
                )
                for r in answer["rosters"]
            ],
        )
