"""`manage.py reconcile`: the same run that the schedule makes at night, watched."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from provisioning import reconciliation
from provisioning.management.base import HubCommand, connection_named, operator, pairs, table, tenant_named
from provisioning.models import ReconciliationRun
from provisioning.reconciliation.checks import CHECKS

SHOWN = 200
WIDTH = 30


class Command(HubCommand):
    help = (
        "Looks at everything that is stored of a connection and says what it would do; --execute does it, unless the "
        "guard stops the run. Exit code 3: not everything was done (quarantine, or another worker has the run)."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Id, or a name that is unique.")
        parser.add_argument(
            "--tenant", default="", help="Short name of the tenant whose connection is meant."
        )
        parser.add_argument("--execute", action="store_true", help="Do what the simulation found.")

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        connection = connection_named(options["connection"], tenant)
        try:
            run = reconciliation.simulate(connection, operator())
        except reconciliation.Busy:
            raise CommandError(
                "Another worker is busy with this connection; try again in a moment."
            ) from None
        if options["execute"]:
            run = reconciliation.execute(run, None if options["json"] else self._progress)
        self._executes = bool(options["execute"])
        items = list(run.items.filter(tenant_id=run.tenant_id)[: SHOWN + 1])
        return {
            "run": str(run.pk),
            "connection": str(connection.pk),
            "status": run.status,
            "population": run.population,
            "destructive": run.destructive,
            "counts": run.counts,
            "note": run.note,
            "items": [
                {
                    "check": item.check_name,
                    "status": item.status,
                    "reason": item.reason,
                    "situation": item.situation,
                    "account": str(item.account_id) if item.account_id else None,
                    "identity": str(item.identity_id) if item.identity_id else None,
                    "plan": item.plan,
                    "evidence": item.evidence,
                }
                for item in items[:SHOWN]
            ],
            "more_items": len(items) > SHOWN,
        }

    def exit_code(self, answer: dict[str, Any]) -> int:
        return 3 if self._executes and answer["status"] != ReconciliationRun.Status.DONE else 0

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield from pairs(
            [
                ("Run", f"{answer['run']}: {answer['status']}"),
                ("Live accounts", answer["population"]),
                ("Would lose access", answer["destructive"]),
                *([("Note", answer["note"])] if answer["note"] else []),
            ]
        )
        if answer["items"]:
            yield ""
            yield from table(
                ("Check", "What", "Status", "Account or identity"),
                [
                    (item["check"], item["reason"], item["status"], item["account"] or item["identity"])
                    for item in answer["items"]
                ],
            )
        if answer["more_items"]:
            yield f"... and more: the run's page in the admin lists them, and these counts: {answer['counts']}"
        asked = {item["check"] for item in answer["items"]} & CHECKS.keys()
        if asked:
            yield ""
            yield from pairs((name, CHECKS[name].question) for name in CHECKS if name in asked)

    def _progress(self, done: int, total: int) -> None:
        full = WIDTH * done // total if total else WIDTH
        end = "\n" if done >= total else ""
        self.stderr.write(f"\r[{'#' * full}{'.' * (WIDTH - full)}] {done}/{total}", ending=end)
        self.stderr.flush()
