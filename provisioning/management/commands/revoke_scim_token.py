"""`manage.py revoke_scim_token`: a token is unknown from the next request on."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from provisioning.management.base import HubCommand, ask_why, operator
from provisioning.management.credentials import token_named
from provisioning.services.tokens import revoke_token


class Command(HubCommand):
    help = "Revokes a SCIM token: from the next request on it is unknown."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("token", help="Id or beginning of the token.")
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        token = token_named(options["token"])
        was_live = token.revoked_at is None
        revoke_token(token=token, reason=options["reason"], actor=operator())
        return {"id": str(token.pk), "prefix": token.prefix, "revoked": was_live}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        what = "is revoked" if answer["revoked"] else "was revoked before"
        yield f"The token {answer['prefix']}… {what}."
