"""`manage.py decide_finding`: what can be done about one finding, and what a person decides, with a reason."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from identity_hub.core.ids import as_uuid
from provisioning.management.base import HubCommand, operator, pairs, table
from provisioning.management.lookup import finding_named
from provisioning.models import Finding
from provisioning.selectors.timeline import meaning
from provisioning.services import findings, remedies
from provisioning.services.metadata import proposal_digest


class Command(HubCommand):
    help = (
        "Approves or rejects a finding, as the admin's page does: an account that waits for its link is tied to a "
        "person or gets one of its own, a person who waits for an approval is let in or kept out, any other "
        "case is closed."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("finding", help="Id of the finding; `list_findings` shows it.")
        decision = parser.add_mutually_exclusive_group(required=True)
        decision.add_argument("--approve", action="store_true", dest="approve")
        decision.add_argument("--reject", action="store_false", dest="approve")
        decision.add_argument("--remedy", default="", help="One of those that --foresee names.")
        decision.add_argument(
            "--foresee",
            action="store_true",
            help="Shows every remedy and what it would change; changes nothing.",
        )
        parser.add_argument("--reason", default="", help="Kept in the audit; needed for a decision.")
        parser.add_argument(
            "--identity", default="", help="Of several candidates, the id of the one that is meant."
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        finding = finding_named(options["finding"])
        if finding.status != Finding.Status.OPEN:
            raise CommandError(f"The finding was decided already: {finding.status}.")
        if options["identity"] and options["identity"] not in finding.candidates:
            raise CommandError(f"{options['identity']!r} is no candidate of this finding.")
        if options["foresee"]:
            return {"finding": str(finding.pk), "kind": finding.kind, "remedies": _foreseen(finding)}
        if not options["reason"].strip():
            raise CommandError("Please say why (--reason).")
        told = {
            "finding": finding,
            "reason": options["reason"].strip(),
            "actor": operator(),
            "seen": proposal_digest(finding.connection) if finding.connection else "",
        }
        if options["remedy"]:
            outcome = remedies.carry_out(name=options["remedy"], **told)
        else:
            outcome = findings.decide(
                approve=options["approve"], identity_id=as_uuid(options["identity"]), **told
            )
        finding.refresh_from_db()
        return {
            "finding": str(finding.pk),
            "kind": finding.kind,
            "status": finding.status,
            "accepted": outcome.accepted,
            "reason": outcome.reason,
            "meaning": meaning(outcome.reason),
        }

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        if "remedies" in answer:
            rows = [(one["remedy"], one["says"], ", ".join(one["changes"])) for one in answer["remedies"]]
            yield from table(("Remedy", "What it says", "What would change"), rows)
            return
        yield from pairs(
            [
                ("Finding", f"{answer['kind']} ({answer['finding']})"),
                ("Status", answer["status"]),
                ("Outcome", f"{answer['reason']}: {answer['meaning']}"),
            ]
        )

    def exit_code(self, answer: dict[str, Any]) -> int:
        return 0 if answer.get("accepted", True) else 1


def _foreseen(finding: Finding) -> list[dict[str, Any]]:
    return [
        {
            "remedy": one.remedy.name,
            "title": one.remedy.title,
            "says": one.remedy.says,
            "reason": one.decision.reason if one.decision else None,
            "changes": [type(change).__name__ for change in one.decision.changes] if one.decision else [],
            "moves": dict(one.moves),
        }
        for one in remedies.foresee(finding, operator())
    ]
