"""`manage.py disable_connection`: nobody signs in or pushes through it from now on."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from provisioning.management.base import HubCommand, ask_why, connection_named, operator
from provisioning.services import setup


class Command(HubCommand):
    help = "Disables a connection: it admits nobody and its SCIM tokens are not heard. activate_connection undoes it."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Name or id.")
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        row = setup.disable(
            connection=connection_named(options["connection"]), actor=operator(), reason=options["reason"]
        )
        return {"id": str(row.pk), "name": row.name, "status": row.status}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield f"{answer['name']} is {answer['status']}."
