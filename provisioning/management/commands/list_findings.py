"""`manage.py list_findings`: the doubtful cases that wait for a person."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from identity_hub.core.clock import now
from provisioning.decision.types import Severity
from provisioning.management.base import HubCommand, table, tenant_named
from provisioning.management.lookup import identities_named
from provisioning.models import Finding
from provisioning.selectors.timeline import meaning

AT_MOST = 200


class Command(HubCommand):
    help = f"Lists open findings, the oldest first, {AT_MOST} at most. `decide_finding` decides one."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="Short name of the tenant.")
        parser.add_argument(
            "--kind", default="", help="Only of this kind, such as account:approval-requested."
        )
        parser.add_argument("--severity", default="", choices=["", *Severity], help="Only so serious ones.")
        parser.add_argument(
            "--owner", default="", help="Only this administrator's: name, e-mail, userName or id."
        )
        parser.add_argument("--unowned", action="store_true", help="Only those that nobody sees to.")
        parser.add_argument("--overdue", action="store_true", help="Only those whose day is over.")

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"])
        rows = (
            Finding.objects.with_due()
            .filter(tenant=tenant, status=Finding.Status.OPEN)
            .select_related("connection", "account", "identity", "owner")
        )
        if options["kind"]:
            rows = rows.filter(kind=options["kind"])
        if options["severity"]:
            rows = rows.filter(severity=options["severity"])
        if options["owner"]:
            rows = rows.filter(
                owner__in=[found.identity.pk for found in identities_named(options["owner"], tenant)]
            )
        if options["unowned"]:
            rows = rows.filter(owner__isnull=True)
        if options["overdue"]:
            rows = rows.filter(due__lt=now())
        return {"findings": [_told(row) for row in rows.order_by("opened_at")[:AT_MOST]]}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        if not answer["findings"]:
            yield "Nothing waits."
            return
        yield from table(
            ("Finding", "Kind", "Severity", "Connection", "About", "Open since", "Due", "Owner"),
            [
                (
                    *(f["id"], f["kind"], f["severity"], f["connection"], f["about"]),
                    *(f["opened_at"][:19], f["due"][:10] + ("!" if f["overdue"] else ""), f["owner"]),
                )
                for f in answer["findings"]
            ],
        )


def _told(finding: Finding) -> dict[str, Any]:
    return {
        "id": str(finding.pk),
        "kind": finding.kind,
        "meaning": meaning(finding.kind),
        "severity": finding.severity,
        "connection": str(finding.connection) if finding.connection else None,
        "about": str(finding.account or finding.identity or ""),
        "candidates": finding.candidates,
        "opened_at": finding.opened_at.isoformat(),
        "due": finding.due.isoformat(),  # type: ignore[attr-defined]
        "overdue": finding.due < now(),  # type: ignore[attr-defined]
        "owner": str(finding.owner) if finding.owner else None,
        "score": finding.evidence.get("score"),
    }
