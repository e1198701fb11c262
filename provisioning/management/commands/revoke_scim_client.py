"""`manage.py revoke_scim_client`: an OAuth client and its tokens are unknown from the next request on."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from provisioning.management.base import HubCommand, ask_why, operator
from provisioning.management.credentials import client_named
from provisioning.services.tokens import revoke_client


class Command(HubCommand):
    help = (
        "Revokes an OAuth client: from the next request on it and every token that it obtained are unknown."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("client", help="Client ID.")
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        client = client_named(options["client"])
        was_live = client.revoked_at is None
        revoke_client(client=client, reason=options["reason"], actor=operator())
        return {"id": str(client.pk), "client_id": client.client_id, "revoked": was_live}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        what = "is revoked" if answer["revoked"] else "was revoked before"
        yield f"The OAuth client {answer['client_id']} {what}."
