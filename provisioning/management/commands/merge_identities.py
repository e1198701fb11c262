"""`manage.py merge_identities`: two identities are one person, said by an operator."""

from typing import Any

from django.core.management.base import CommandParser

from provisioning.management.acts import ActCommand
from provisioning.management.base import operator, tenant_named
from provisioning.management.lookup import identity_named
from provisioning.services import merging


class Command(ActCommand):
    help = (
        "Merges two identities of a tenant: the second one ends in the first, which has all that names either from now "
        "on. Its id goes on being found. `unmerge_identities` takes it back."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("winner", help="Who stays: id, userName, e-mail or an old name.")
        parser.add_argument("loser", help="Who ends in the other one.")
        parser.add_argument("--tenant", default="", help="Look in this tenant only.")
        self.act_arguments(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        winner, loser = (identity_named(options[name], tenant) for name in ("winner", "loser"))
        if winner.tenant_id is None or loser.tenant_id is None:
            self.refuse("An installation superuser is nobody's duplicate.")
        about = {"winner": str(winner.pk), "loser": str(loser.pk)}
        if options["dry_run"]:
            preview = merging.foresee(winner=winner, loser=loser, actor=operator())
            return self.foreseen(
                preview.decision,
                **about,
                moves={name: number for name, number in preview.moves.items() if number},
                shows=sorted(preview.shown),
                gains=[entitlement.name for entitlement in preview.gained],
                ends=[str(account) for account in preview.folded],
                held=preview.held,
            )
        outcome = merging.merge(winner=winner, loser=loser, reason=self.reason(options), actor=operator())
        return self.done(outcome, **about)
