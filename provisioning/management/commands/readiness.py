"""`manage.py readiness`: what has been shown of a connection, and what is open."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from provisioning.decision.readiness import State
from provisioning.management.base import HubCommand, connection_named
from provisioning.management.setup import lines_of, list_of


class Command(HubCommand):
    help = "Shows a connection's readiness list. Ends with 1 while something on it is open."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Name or id.")

    def answer(self, **options: Any) -> dict[str, Any]:
        row = connection_named(options["connection"])
        return {"id": str(row.pk), "name": row.name, "status": row.status, "readiness": list_of(row)}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield f"{answer['name']} ({answer['status']})"
        yield from lines_of(answer["readiness"])

    def exit_code(self, answer: dict[str, Any]) -> int:
        return int(any(one["state"] == State.MISSING for one in answer["readiness"]))
