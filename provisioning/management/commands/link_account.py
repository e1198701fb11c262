"""`manage.py link_account`: whose account it is, said by an operator."""

from typing import Any

from django.core.management.base import CommandParser

from provisioning.management.acts import ActCommand
from provisioning.management.base import connection_named, operator
from provisioning.management.lookup import account_named, identity_named
from provisioning.services import linking


class Command(ActCommand):
    help = (
        "Ties a live account to an identity, off the one that it belongs to: it takes along what it holds, and no rule "
        "ties it there again."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("account", help="Id, or with --connection a userName or an externalId.")
        parser.add_argument("identity", help="Id, userName, e-mail or an old name.")
        parser.add_argument("--connection", default="", help="The account's connection: id or name.")
        parser.add_argument(
            "--fold-duplicate",
            action="store_true",
            help="The identity's account of the same connection is this one twice: the login's one ends in the other.",
        )
        self.act_arguments(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        connection = connection_named(options["connection"]) if options["connection"] else None
        account = account_named(options["account"], connection)
        identity = identity_named(options["identity"], account.tenant)
        said = {
            "account": account,
            "identity": identity,
            "fold_duplicate": options["fold_duplicate"],
            "actor": operator(),
        }
        about = {"account": str(account.pk), "identity": str(identity.pk)}
        if options["dry_run"]:
            return self.foreseen(linking.foresee_link(**said), **about)
        return self.done(linking.link(**said, reason=self.reason(options)), **about)
