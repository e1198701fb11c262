"""`manage.py create_scim_client`: an OAuth client of a connection; its secret is shown once."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from provisioning import addresses
from provisioning.management.base import HubCommand, ask_why, connection_named, operator, pairs, tenant_named
from provisioning.models import Scope
from provisioning.services.tokens import create_client


class Command(HubCommand):
    help = (
        "Creates an OAuth 2.0 client of a connection, which exchanges its secret for SCIM tokens of an hour (client "
        "credentials, RFC 6749 4.4). The secret is printed once and cannot be shown again."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Id, or a name that is unique.")
        parser.add_argument(
            "--tenant", default="", help="Short name of the tenant whose connection is meant."
        )
        parser.add_argument("--name", default="", help="What it is for.")
        parser.add_argument(
            "--scope",
            action="append",
            choices=Scope.values,
            help="What its tokens may do; may be repeated (default: everything).",
        )
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        client, secret = create_client(
            connection=connection_named(options["connection"], tenant),
            name=options["name"],
            scopes=options["scope"],
            actor=operator(),
            reason=options["reason"],
        )
        return {
            "client_id": client.client_id,
            "client_secret": secret,
            "id": str(client.pk),
            "connection": str(client.connection_id),
            "scopes": list(client.scopes),
            "token_endpoint": addresses.scim_token_endpoint(),
            "scim_base_url": addresses.scim_base(),
        }

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield from pairs(
            [
                ("Client ID", answer["client_id"]),
                ("Client secret (shown once)", answer["client_secret"]),
                ("Scopes", " ".join(answer["scopes"])),
                ("Token endpoint", answer["token_endpoint"]),
                ("SCIM base URL", answer["scim_base_url"]),
            ]
        )
