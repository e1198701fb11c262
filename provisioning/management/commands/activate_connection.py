"""`manage.py activate_connection`: puts a connection into use when its readiness list is met or accepted."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from provisioning.decision.readiness import Item
from provisioning.management.base import HubCommand, ask_why, connection_named, operator
from provisioning.management.setup import lines_of, list_of
from provisioning.services import setup


class Command(HubCommand):
    help = (
        "Activates a connection. What its readiness list still lacks can be accepted in writing, item by item; "
        "`readiness` shows the list."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Name or id.")
        parser.add_argument(
            "--accept",
            action="append",
            default=[],
            metavar="ITEM=REASON",
            help=f"Do without this item; may be repeated. Items: {', '.join(item.value for item in Item)}.",
        )
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        connection, actor = connection_named(options["connection"]), operator()
        with transaction.atomic():
            for said in options["accept"]:
                item, reason = _acceptance(said)
                setup.accept(connection=connection, item=item, reason=reason, actor=actor)
            row = setup.activate(connection=connection, actor=actor, reason=options["reason"])
        return {"id": str(row.pk), "name": row.name, "status": row.status, "readiness": list_of(row)}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield f"{answer['name']} is {answer['status']}."
        yield from lines_of(answer["readiness"])


def _acceptance(said: str) -> tuple[Item, str]:
    name, _, reason = said.partition("=")
    try:
        return Item(name.strip()), reason
    except ValueError:
        raise CommandError(
            f"--accept {said!r}: the items are {', '.join(item.value for item in Item)}."
        ) from None
