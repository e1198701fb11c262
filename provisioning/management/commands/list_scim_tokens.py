"""`manage.py list_scim_tokens`: the tokens and OAuth clients of a connection, and whether they are in use."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from identity_hub.core.clock import now
from provisioning.management.base import HubCommand, connection_named, table, tenant_named
from provisioning.management.credentials import moment
from provisioning.selectors import credentials


class Command(HubCommand):
    help = "Lists the SCIM tokens and OAuth clients of a connection with their last use. It shows no secret."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Id, or a name that is unique.")
        parser.add_argument(
            "--tenant", default="", help="Short name of the tenant whose connection is meant."
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        connection, at = connection_named(options["connection"], tenant), now()
        return {
            "connection": str(connection.pk),
            "tokens": [
                {
                    "id": str(token.pk),
                    "prefix": token.prefix,
                    "name": token.name,
                    "scopes": list(token.scopes),
                    "state": _state(token.revoked_at, token.expires_at, at),
                    "replaces": str(token.replaces_id) if token.replaces_id else None,
                    "expires_at": moment(token.expires_at),
                    "last_used_at": moment(token.last_used_at),
                }
                for token in credentials.tokens(connection, at)
            ],
            "clients": [
                {
                    "id": str(client.pk),
                    "client_id": client.client_id,
                    "name": client.name,
                    "scopes": list(client.scopes),
                    "state": _state(client.revoked_at, None, at),
                    "live_tokens": client.live_tokens,  # type: ignore[attr-defined]
                    "last_used_at": moment(client.last_used_at),
                }
                for client in credentials.clients(connection, at)
            ],
        }

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield from table(
            ["token", "name", "scopes", "state", "ends", "last used"],
            [
                (
                    f"{row['prefix']}…",
                    row["name"],
                    " ".join(row["scopes"]),
                    row["state"],
                    row["expires_at"] or "never",
                    row["last_used_at"] or "never",
                )
                for row in answer["tokens"]
            ],
        )
        if answer["clients"]:
            yield ""
            yield from table(
                ["OAuth client", "name", "scopes", "state", "live tokens", "last used"],
                [
                    (
                        row["client_id"],
                        row["name"],
                        " ".join(row["scopes"]),
                        row["state"],
                        row["live_tokens"],
                        row["last_used_at"] or "never",
                    )
                    for row in answer["clients"]
                ],
            )


def _state(revoked_at: Any, expires_at: Any, at: Any) -> str:
    if revoked_at is not None:
        return "revoked"
    return "expired" if expires_at is not None and expires_at <= at else "live"
