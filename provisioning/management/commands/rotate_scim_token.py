"""`manage.py rotate_scim_token`: a successor for a token; both live for a while, so that nothing stops."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser

from provisioning.management.base import ask_why, operator, pairs
from provisioning.management.credentials import TokenCommand, moment, token_named, told
from provisioning.models import ScimToken
from provisioning.services.tokens import OVERLAP, rotate_token


class Command(TokenCommand):
    help = (
        "Issues the successor of a SCIM token, with the same scopes and the same length of life. Both work until the "
        "overlap is over; then the old one ends. The new one is printed once."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("token", help="Id or beginning of the token that is to be replaced.")
        parser.add_argument(
            "--overlap-days",
            type=int,
            default=OVERLAP.days,
            help=f"Days for which the old one goes on working (default: {OVERLAP.days}).",
        )
        parser.add_argument(
            "--days", type=int, help="Days until the new one expires (default: as the old one)."
        )
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        old = token_named(options["token"])
        new, secret = rotate_token(
            token=old,
            overlap=timedelta(days=max(-1, min(options["overlap_days"], 10_000))),
            days=options["days"],
            reason=options["reason"],
            actor=operator(),
        )
        old = ScimToken.objects.get(pk=old.pk, tenant_id=old.tenant_id)
        return {
            **told(new, secret),
            "replaces": {
                "id": str(old.pk),
                "prefix": old.prefix,
                "expires_at": moment(old.expires_at),
                "last_used_at": moment(old.last_used_at),
            },
        }

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield from super().show(answer)
        old = answer["replaces"]
        yield from pairs([("Replaces", f"{old['prefix']}…, which ends {old['expires_at']}")])
