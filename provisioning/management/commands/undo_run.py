"""`manage.py undo_run`: takes back what a run did, or shows what that would change."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser

from provisioning.decision.types import Actor
from provisioning.management.base import HubCommand, operator, pairs, table
from provisioning.management.lookup import run_named
from provisioning.models import ReconciliationItem, ReconciliationRun
from provisioning.selectors.timeline import actor_names, meaning
from provisioning.services import undo

SHOWN = 200


class Command(HubCommand):
    help = (
        "Takes back what a run did, or single items of it, within 30 days. What something newer has touched stays, and "
        "is named. Ended sessions do not come back. Exit code 3: not everything was taken back."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", help="Id of the run.")
        parser.add_argument("--items", nargs="+", type=int, help="Ids of items; without it, all of them.")
        parser.add_argument("--reason", default="", help="Kept in the audit; needed but for a --dry-run.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be changed.")

    def answer(self, **options: Any) -> dict[str, Any]:
        run = run_named(options["run"])
        chosen = options["items"]
        if chosen:
            self._demand(run, chosen)
        if options["dry_run"]:
            items = list(undo.items_of(run, chosen)[: SHOWN + 1])
            told = [_told(prospect) for prospect in undo.preview(run, items[:SHOWN])]
            return {
                "run": str(run.pk),
                "dry_run": True,
                "wanted": undo.items_of(run, chosen).count(),
                "counts": {},
                "items": told,
                "more_items": len(items) > SHOWN,
            }
        if undo.is_ordered(run) and not chosen:
            # One that was killed goes on with whoever ordered it.
            wanted = 0
        else:
            wanted = undo.order(run, actor=operator(), reason=options["reason"], items=chosen)
        counts = undo.carry_out(run)
        refused = undo.items_of(run, chosen).exclude(undo_refusal="")
        items = list(refused[: SHOWN + 1])
        return {
            "run": str(run.pk),
            "dry_run": False,
            "wanted": wanted or counts.total(),
            "counts": dict(counts),
            "items": [_told(prospect) for prospect in undo.refusals(run, items[:SHOWN])],
            "more_items": len(items) > SHOWN,
        }

    def _demand(self, run: ReconciliationRun, chosen: Sequence[int]) -> None:
        own = ReconciliationItem.objects.filter(tenant_id=run.tenant_id, run=run, pk__in=chosen)
        if strange := sorted(set(chosen) - set(own.values_list("pk", flat=True))):
            raise CommandError(f"The run has no item {strange[0]}.")

    def exit_code(self, answer: dict[str, Any]) -> int:
        return 3 if not answer["dry_run"] and set(answer["counts"]) - {"item:undone"} else 0

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield from pairs(
            [
                ("Run", answer["run"]),
                ("Would be taken back" if answer["dry_run"] else "Asked for", answer["wanted"]),
                *((code, number) for code, number in sorted(answer["counts"].items())),
            ]
        )
        if answer["items"]:
            yield ""
            yield from table(
                ("Item", "Account or identity", "What"),
                [
                    (item["item"], item["account"] or item["identity"], _sentence(item))
                    for item in answer["items"]
                ],
            )
        if answer["more_items"]:
            yield "... and more: the run's page in the admin lists them."
        yield ""
        yield "Sessions that the run ended stay ended: people sign in again."


def _told(prospect: undo.Prospect) -> dict[str, Any]:
    item, newer = prospect.item, prospect.newer
    told: dict[str, Any] = {
        "item": item.pk,
        "account": str(item.account_id) if item.account_id else None,
        "identity": str(item.identity_id) if item.identity_id else None,
        "reason": prospect.reason,
        "changes": [change["change"] for change in prospect.changes],
        "newer": None,
    }
    if newer is not None:
        actor = Actor(kind=newer.actor_kind, id=newer.actor_id)
        told["newer"] = {
            "audit": newer.pk,
            "at": newer.at.isoformat(),
            "by": actor_names({actor}, item.tenant_id)[actor],
            "reason": newer.reason,
        }
    return told


def _sentence(item: dict[str, Any]) -> str:
    if newer := item["newer"]:
        return f"left: {newer['by']}, {newer['at']}: {meaning(newer['reason'])}"
    return ", ".join(item["changes"]) or f"left: {meaning(item['reason'])}"
