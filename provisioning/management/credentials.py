"""What the commands about SCIM tokens and OAuth clients share: whom one means, and how a secret is shown once."""

from abc import ABC
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError

from identity_hub.core.ids import as_uuid
from provisioning import addresses
from provisioning.management.base import HubCommand, pairs
from provisioning.models import ScimClient, ScimToken


class TokenCommand(HubCommand, ABC):
    """A command that ends with a new token."""

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield from pairs(
            [
                ("Token (shown once)", answer["token"]),
                ("Id", answer["id"]),
                ("Scopes", " ".join(answer["scopes"])),
                ("Expires", answer["expires_at"] or "never"),
                ("SCIM base URL", answer["scim_base_url"]),
            ]
        )


def told(token: ScimToken, secret: str) -> dict[str, Any]:
    return {
        "token": secret,
        "id": str(token.pk),
        "prefix": token.prefix,
        "connection": str(token.connection_id),
        "scopes": list(token.scopes),
        "expires_at": moment(token.expires_at),
        "scim_base_url": addresses.scim_base(),
    }


def moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def token_named(key: str) -> ScimToken:
    """By its id, or by the beginning that every list shows of it; never by the token itself."""
    # A whole token in a shell's history is a leak: only what is kept of it is compared.
    rows = ScimToken.objects.filter(pk=as_uuid(key)) if as_uuid(key) else ScimToken.objects.filter(prefix=key)
    found = list(rows.select_related("connection")[:2])
    if not found:
        raise CommandError(
            "There is no such token. Name it by its id or its beginning, as list_scim_tokens does."
        )
    if len(found) > 1:
        raise CommandError(f"Several tokens begin with {key!r}; give the id.")
    return found[0]


def client_named(key: str) -> ScimClient:
    """By its client ID or its own id."""
    rows = ScimClient.objects.filter(client_id=key)
    if (found := rows.first()) is None and (as_id := as_uuid(key)):
        found = ScimClient.objects.filter(pk=as_id).first()
    if found is None:
        raise CommandError(f"There is no OAuth client {key!r}.")
    return found
