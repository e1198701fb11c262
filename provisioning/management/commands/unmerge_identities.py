"""`manage.py unmerge_identities`: two people after all, said by an operator."""

from typing import Any

from django.core.management.base import CommandParser

from provisioning.management.acts import ActCommand
from provisioning.management.base import operator, tenant_named
from provisioning.management.lookup import identity_named
from provisioning.selectors import merges
from provisioning.services import merging


class Command(ActCommand):
    help = (
        "Takes a merge back: the identity that had ended has again what the merge had moved, but for what something "
        "newer has touched, which is named."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("loser", help="Id of the identity that had ended in another one.")
        parser.add_argument("--tenant", default="", help="Look in this tenant only.")
        self.act_arguments(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        loser = identity_named(options["loser"], tenant)
        row = merges.of_identity(loser).into
        if row is None:
            self.refuse(f"{loser.pk} has not ended in another identity.")
        about = {"winner": str(row.winner_id), "loser": str(loser.pk)}
        if options["dry_run"]:
            return self.foreseen(merging.foresee_unmerge(merge=row, actor=operator()), **about)
        outcome = merging.unmerge(merge=row, reason=self.reason(options), actor=operator())
        row.refresh_from_db()
        return self.done(outcome, **about, kept=row.kept)
