"""`manage.py create_scim_token`: a bearer token, shown once."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from provisioning import addresses
from provisioning.management.base import (
    HubCommand,
    connection_named,
    operator,
    pairs,
    tenant_named,
)
from provisioning.services import configuration


class Command(HubCommand):
    help = "Issues a SCIM token for a connection. The token is printed once and cannot be shown again."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Id, or a name that is unique.")
        parser.add_argument(
            "--tenant", default="", help="Short name of the tenant whose connection is meant."
        )
        parser.add_argument("--days", type=int, help="Days until it expires (default: never).")
        parser.add_argument("--name", default="", help="What it is for.")

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        connection = connection_named(options["connection"], tenant)
        token, secret = configuration.issue_token(
            connection=connection, days=options["days"], name=options["name"], actor=operator()
        )
        return {
            "token": secret,
            "id": str(token.pk),
            "prefix": token.prefix,
            "connection": str(connection.pk),
            "expires_at": token.expires_at.isoformat() if token.expires_at else None,
            "scim_base_url": addresses.scim_base(),
        }

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield from pairs(
            [
                ("Token (shown once)", answer["token"]),
                ("Expires", answer["expires_at"] or "never"),
                ("SCIM base URL", answer["scim_base_url"]),
            ]
        )
