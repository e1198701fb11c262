"""`manage.py create_scim_token`: a bearer token, shown once."""

from typing import Any

from django.core.management.base import CommandParser

from provisioning.management.base import ask_why, connection_named, operator, tenant_named
from provisioning.management.credentials import TokenCommand, told
from provisioning.models import Scope
from provisioning.services.tokens import issue_token


class Command(TokenCommand):
    help = "Issues a SCIM token for a connection. The token is printed once and cannot be shown again."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Id, or a name that is unique.")
        parser.add_argument(
            "--tenant", default="", help="Short name of the tenant whose connection is meant."
        )
        parser.add_argument("--days", type=int, help="Days until it expires (default: never).")
        parser.add_argument("--name", default="", help="What it is for.")
        parser.add_argument(
            "--scope",
            action="append",
            choices=Scope.values,
            help="What it may do; may be repeated (default: everything).",
        )
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        token, secret = issue_token(
            connection=connection_named(options["connection"], tenant),
            days=options["days"],
            name=options["name"],
            scopes=options["scope"],
            actor=operator(),
            reason=options["reason"],
        )
        return told(token, secret)
