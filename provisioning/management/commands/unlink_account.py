"""`manage.py unlink_account`: whose account it is not, said by an operator."""

from typing import Any

from django.core.management.base import CommandParser

from provisioning.management.acts import ActCommand
from provisioning.management.base import connection_named, operator
from provisioning.management.lookup import account_named
from provisioning.services import linking


class Command(ActCommand):
    help = (
        "Takes a live account off its identity: it waits for its link, nobody signs in by it, and no rule ties the two "
        "together again."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("account", help="Id, or with --connection a userName or an externalId.")
        parser.add_argument("--connection", default="", help="The account's connection: id or name.")
        self.act_arguments(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        connection = connection_named(options["connection"]) if options["connection"] else None
        account = account_named(options["account"], connection)
        identity = str(account.identity_id) if account.identity_id else None
        about = {"account": str(account.pk), "identity": identity}
        if options["dry_run"]:
            return self.foreseen(linking.foresee_unlink(account=account, actor=operator()), **about)
        outcome = linking.unlink(account=account, reason=self.reason(options), actor=operator())
        return self.done(outcome, **about)
