"""`manage.py assign_finding`: which administrator sees to a finding, and by when."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.dateparse import parse_date

from identity_hub.core.clock import end_of
from provisioning.management.base import HubCommand, ask_why, operator, pairs
from provisioning.management.lookup import finding_named, identities_named
from provisioning.models import Finding, Identity
from provisioning.selectors.timeline import meaning
from provisioning.services import findings


class Command(HubCommand):
    help = "Gives a finding an owner, an administrator of its tenant, or another day by which it is due."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("finding", help="Id of the finding; `list_findings` shows it.")
        owner = parser.add_mutually_exclusive_group()
        owner.add_argument("--to", default="", help="The administrator: name, e-mail, userName or id.")
        owner.add_argument("--to-nobody", action="store_true", help="Takes the owner away.")
        parser.add_argument(
            "--due", default="", help="A day, such as 2026-01-31; `by-severity` goes back to it."
        )
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        finding = finding_named(options["finding"])
        if finding.status != Finding.Status.OPEN:
            raise CommandError(f"The finding was decided already: {finding.status}.")
        reason, actor = options["reason"].strip(), operator()
        if not (options["to"] or options["to_nobody"] or options["due"]):
            raise CommandError("Please say who sees to it (--to, --to-nobody), or by when (--due).")
        due_at = _day(options["due"])
        if options["to"] or options["to_nobody"]:
            owner = _administrator(options["to"], finding) if options["to"] else None
            findings.assign(finding=finding, owner=owner, actor=actor, reason=reason)
        if options["due"]:
            findings.postpone(finding=finding, due_at=due_at, actor=actor, reason=reason)
        row = Finding.objects.with_due().select_related("owner").get(pk=finding.pk)
        return {
            "finding": str(row.pk),
            "kind": row.kind,
            "meaning": meaning(row.kind),
            "owner": str(row.owner) if row.owner else None,
            "due": row.due.isoformat(),
        }

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield from pairs(
            [
                ("Finding", f"{answer['kind']} ({answer['finding']})"),
                ("Owner", answer["owner"] or "nobody"),
                ("Due", answer["due"][:10]),
            ]
        )


def _administrator(key: str, finding: Finding) -> Identity:
    found = identities_named(key, finding.tenant)
    if len(found) != 1:
        raise CommandError(f"{'Nobody' if not found else 'More than one'} of the tenant is called {key!r}.")
    return found[0].identity


def _day(text: str) -> datetime | None:
    if text in ("", "by-severity"):
        return None
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise CommandError(f"--due {text!r} is no day; try 2026-01-31, or by-severity.")
    return end_of(day)
