"""`manage.py pull_roster`: lists a connection's people now."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from provisioning.management.base import HubCommand, ask_why, connection_named, operator, pairs, tenant_named
from provisioning.models import Roster
from provisioning.services import pulls, roster_sources, rosters
from provisioning.sources import Away


class Command(HubCommand):
    help = (
        "Lists the people of a connection at its identity provider. Without --wait a worker does it. Exit code 3: the "
        "listing was refused, and nothing is concluded from it."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Id, or a name that is unique.")
        parser.add_argument(
            "--tenant", default="", help="Short name of the tenant whose connection is meant."
        )
        parser.add_argument("--wait", action="store_true", help="Do it here, and say what came of it.")
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        connection = connection_named(options["connection"], tenant)
        source = roster_sources.source_of(connection)
        if source is None:
            raise CommandError("The connection has no roster source; roster_source sets one.")
        if not options["wait"]:
            pulls.order(source, operator(), options["reason"])
            return {"connection": str(connection.pk), "ordered": True}
        pulls.note_order(source, operator(), options["reason"])
        try:
            roster = pulls.pull(
                source=source, actor=operator(), progress=None if options["json"] else self._progress
            )
        except rosters.Elsewhere:
            raise CommandError("A worker is listing this connection's people already.") from None
        except Away as error:
            raise CommandError(f"{error} What was listed is kept; the next pull goes on there.") from None
        return {
            "connection": str(connection.pk),
            "roster": str(roster.pk),
            "status": roster.status,
            "rows": roster.row_count,
            "expected": roster.expected,
            "faults": roster.fault_count,
            "code": roster.code,
            "note": roster.note,
        }

    def exit_code(self, answer: dict[str, Any]) -> int:
        return 3 if answer.get("status") == Roster.Status.REFUSED else 0

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        if answer.get("ordered"):
            yield "A worker lists them now; the connection's page in the admin shows what came of it."
            return
        yield from pairs(
            (name.capitalize(), value) for name, value in answer.items() if value not in ("", None)
        )

    def _progress(self, rows: int) -> None:
        self.stderr.write(f"\r{rows} people", ending="")
        self.stderr.flush()
