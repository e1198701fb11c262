"""`manage.py refresh_metadata`: reads the metadata of IdPs from the addresses that connections follow, now."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from provisioning.management.base import HubCommand, connection_named, operator, table, tenant_named
from provisioning.models import Connection
from provisioning.selectors import connections
from saml_sp import metadata


class Command(HubCommand):
    help = (
        "Reads the metadata of identity providers from their addresses, as the schedule does every hour: of one "
        "connection, or of all that are not disabled. Ends with 1 where an address gave nothing of use."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", default="", help="Id, or a name that is unique. Default: all.")
        parser.add_argument(
            "--tenant", default="", help="Short name of the tenant whose connection is meant."
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        told = []
        for connection in _meant(options["connection"], options["tenant"]):
            outcome = metadata.refresh(connection, actor=operator())
            connection.refresh_from_db()
            told.append(
                {
                    "id": str(connection.pk),
                    "name": connection.name,
                    "tenant": connection.tenant.slug,
                    "outcome": outcome.value if outcome else "failed",
                    "problem": connection.metadata_problem or None,
                }
            )
        return {"connections": told}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        rows = [
            (one["name"], one["tenant"], one["outcome"], one["problem"] or "")
            for one in answer["connections"]
        ]
        yield from table(["connection", "tenant", "outcome", "problem"], rows)

    def exit_code(self, answer: dict[str, Any]) -> int:
        return int(any(one["outcome"] == "failed" for one in answer["connections"]))


def _meant(key: str, slug: str) -> Iterator[Connection]:
    if not key:
        # The keys first: while addresses are read, a cursor over the rows would stay open.
        for tenant_id, connection_id in list(connections.following()):
            if (row := connections.followed(tenant_id, connection_id)) is not None:
                yield row
        return
    connection = connection_named(key, tenant_named(slug) if slug else None)
    if not connection.metadata_url:
        raise CommandError(f"{connection.name} follows no address.")
    yield connection
