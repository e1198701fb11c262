"""`manage.py decide_run`: what a person decides about a run that waits: all of it, nothing of it, or part of it."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from provisioning import reconciliation
from provisioning.management.base import HubCommand, ask_why, operator, pairs
from provisioning.management.lookup import run_named
from provisioning.models import ReconciliationItem
from provisioning.reconciliation import Choice


class Command(HubCommand):
    help = (
        "Leaves items out of a run that waits, then releases or rejects it. A worker executes what is released. Where "
        "a release needs two administrators, they give it in the admin."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", help="Id of the run.")
        way = parser.add_mutually_exclusive_group()
        way.add_argument("--release", action="store_true", help="Let it out of quarantine.")
        way.add_argument("--reject", action="store_true", help="Nothing of it is done.")
        way.add_argument("--take-in", action="store_true", help="Take the named items in again.")
        parser.add_argument("--items", nargs="+", type=int, default=[], help="Ids of items to leave out.")
        parser.add_argument("--reasons", nargs="+", default=[], help="Reason codes to leave out.")
        parser.add_argument("--situations", nargs="+", default=[], help="Situations to leave out.")
        parser.add_argument("--destructive", action="store_true", help="Leave out what takes access away.")
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        run, actor, reason = run_named(options["run"]), operator(), options["reason"]
        choice = Choice(
            items=options["items"],
            reasons=options["reasons"],
            situations=options["situations"],
            destructive=options["destructive"],
        )
        turned = 0
        if options["take_in"]:
            turned = reconciliation.take_in(run, choice, actor, reason)
        elif choice != Choice(items=[], reasons=[], situations=[]):
            turned = reconciliation.leave_out(run, choice, actor, reason)
        if options["release"]:
            run = reconciliation.release(run, actor, reason)
        if options["reject"]:
            run = reconciliation.reject(run, actor, reason)
        items = ReconciliationItem.objects.filter(tenant_id=run.tenant_id, run=run)
        return {
            "run": str(run.pk),
            "status": run.status,
            "turned": turned,
            "planned": items.filter(status=ReconciliationItem.Status.PLANNED).count(),
            "left_out": items.filter(status=ReconciliationItem.Status.LEFT_OUT).count(),
            "destructive": run.destructive,
        }

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield from pairs(
            [
                ("Run", f"{answer['run']}: {answer['status']}"),
                ("Turned now", answer["turned"]),
                ("Planned", answer["planned"]),
                ("Left out", answer["left_out"]),
                ("Would lose access", answer["destructive"]),
            ]
        )
