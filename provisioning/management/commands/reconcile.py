"""`manage.py reconcile`: the same run that the schedule makes at night, watched, and stopped."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from identity_hub.core.ids import as_uuid
from provisioning import reconciliation
from provisioning.management.base import HubCommand, connection_named, operator, pairs, table, tenant_named
from provisioning.models import Connection, ReconciliationRun, Roster
from provisioning.reconciliation.checks import CHECKS

Status = ReconciliationRun.Status

SHOWN = 200
WIDTH = 30


class Command(HubCommand):
    help = (
        "Looks at everything that is stored of a connection and says what it would do; --execute does it, unless the "
        "guard stops the run. Exit code 3: not everything was done (quarantine, another worker has the run, it was "
        "cancelled or overtaken by a newer roster, or looking again found something left to do)."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Id, or a name that is unique.")
        parser.add_argument(
            "--tenant", default="", help="Short name of the tenant whose connection is meant."
        )
        parser.add_argument(
            "--roster",
            default="",
            help="Id of the complete roster to compare with; else the newest unused one.",
        )
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--execute", action="store_true", help="Do what the simulation found.")
        what.add_argument("--status", action="store_true", help="Only tell how far the newest run is.")
        what.add_argument("--cancel", action="store_true", help="Stop the run after the batch in hand.")
        parser.add_argument("--reason", default="", help="Why; kept in the audit. Needed but for --status.")

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        connection = connection_named(options["connection"], tenant)
        self._executes = bool(options["execute"])
        if options["status"]:
            run = _newest(connection)
        elif options["cancel"]:
            run = _cancelled(_newest(connection), options["reason"].strip())
        else:
            run = self._run(connection, options)
        items = list(run.items.filter(tenant_id=run.tenant_id)[: SHOWN + 1])
        return {
            "run": str(run.pk),
            "connection": str(connection.pk),
            "status": run.status,
            "population": run.population,
            "destructive": run.destructive,
            "counts": run.counts,
            "note": run.note,
            "roster": str(run.roster_id) if run.roster_id else None,
            "as_of": run.roster.as_of.isoformat() if run.roster else None,
            "items_done": run.items_done,
            "items_total": run.items_total,
            "cancel_requested_at": run.cancel_requested_at.isoformat() if run.cancel_requested_at else None,
            "verified_at": run.verified_at.isoformat() if run.verified_at else None,
            "remaining": run.remaining,
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

    def _run(self, connection: Connection, options: dict[str, Any]) -> ReconciliationRun:
        roster = _roster(connection, options["roster"]) if options["roster"] else None
        try:
            run = reconciliation.simulate(connection, operator(), roster, options["reason"].strip())
        except reconciliation.Busy:
            raise CommandError(
                "Another worker is busy with this connection; try again in a moment."
            ) from None
        if self._executes:
            run = reconciliation.execute(run, None if options["json"] else self._progress)
        return run

    def exit_code(self, answer: dict[str, Any]) -> int:
        done = answer["status"] == ReconciliationRun.Status.DONE and not answer["remaining"]
        return 3 if self._executes and not done else 0

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield from pairs(
            [
                ("Run", f"{answer['run']}: {answer['status']}"),
                ("Live accounts", answer["population"]),
                ("Would lose access", answer["destructive"]),
                ("Compared with", f"the roster of {answer['as_of']}" if answer["as_of"] else "no roster"),
                ("Done", f"{answer['items_done']} of {answer['items_total']}"),
                *([("Looked at again", _verified(answer["remaining"]))] if answer["verified_at"] else []),
                *([("Cancelled", "stops after the batch in hand")] if _is_stopping(answer) else []),
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


def _newest(connection: Connection) -> ReconciliationRun:
    runs = ReconciliationRun.objects.filter(tenant_id=connection.tenant_id, connection=connection)
    if (run := runs.first()) is None:
        raise CommandError("The connection has had no run yet.")
    return run


def _cancelled(run: ReconciliationRun, reason: str) -> ReconciliationRun:
    if run.status == Status.QUARANTINED:
        raise CommandError(
            f"The run waits for a person and does nothing: reject it, with decide_run {run.pk} --reject --reason."
        )
    if run.finished_at:
        raise CommandError(f"The connection's newest run is over: {run.get_status_display().lower()}.")
    return reconciliation.cancel(run, operator(), reason)


def _roster(connection: Connection, name: str) -> Roster:
    rows = Roster.objects.filter(tenant_id=connection.tenant_id, connection=connection)
    key = as_uuid(name)
    roster = rows.filter(pk=key).first() if key else None
    if roster is None:
        raise CommandError(f"The connection has no roster {name}; list_rosters names them.")
    return roster


def _verified(remaining: int) -> str:
    if not remaining:
        return "nothing is left to do"
    return f"{remaining} items are left to do; simulate again to see them"


def _is_stopping(answer: dict[str, Any]) -> bool:
    at_work = answer["status"] in (Status.SIMULATING, Status.EXECUTING)
    return bool(answer["cancel_requested_at"]) and at_work
