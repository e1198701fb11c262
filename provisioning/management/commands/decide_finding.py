"""`manage.py decide_finding`: what a person decides about one finding, with a reason."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from identity_hub.core.ids import as_uuid
from provisioning.management.base import HubCommand, operator, pairs
from provisioning.management.lookup import finding_named
from provisioning.models import Finding
from provisioning.selectors.timeline import meaning
from provisioning.services import findings
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
        parser.add_argument("--reason", required=True, help="Kept in the audit.")
        parser.add_argument(
            "--identity", default="", help="Of several candidates, the id of the one that is meant."
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        finding = finding_named(options["finding"])
        if finding.status != Finding.Status.OPEN:
            raise CommandError(f"The finding was decided already: {finding.status}.")
        if options["identity"] and options["identity"] not in finding.candidates:
            raise CommandError(f"{options['identity']!r} is no candidate of this finding.")
        if not options["reason"].strip():
            raise CommandError("Please say why.")
        outcome = findings.decide(
            finding=finding,
            approve=options["approve"],
            reason=options["reason"].strip(),
            identity_id=as_uuid(options["identity"]),
            actor=operator(),
            seen=proposal_digest(finding.connection) if finding.connection else "",
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
        yield from pairs(
            [
                ("Finding", f"{answer['kind']} ({answer['finding']})"),
                ("Status", answer["status"]),
                ("Outcome", f"{answer['reason']}: {answer['meaning']}"),
            ]
        )

    def exit_code(self, answer: dict[str, Any]) -> int:
        return 0 if answer["accepted"] else 1
