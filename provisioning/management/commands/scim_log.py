"""`manage.py scim_log`: what directories asked for, by person and by outcome."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import Q

from identity_hub.core.clock import now
from provisioning.management.base import HubCommand, moment, table, tenant_named
from provisioning.management.lookup import tenants_of
from provisioning.models import ScimRequest
from provisioning.models.requests import wording
from provisioning.selectors import request_log


class Command(HubCommand):
    help = "Prints the provisioning log in order, oldest first. The newest --limit requests."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--person", default="", metavar="KEY", help="A whole userName, externalId or e-mail, or an id."
        )
        parser.add_argument("--refused", action="store_true", help="Only what was answered by an error.")
        parser.add_argument("--action", default="", help="As in user.create, group.add-members.")
        parser.add_argument("--since", default="24h", help="2h, 30m, 7d, a date, or a date with time (UTC).")
        parser.add_argument("--tenant", default="", help="Look in this tenant only.")
        parser.add_argument("--limit", type=int, default=200, help="At most so many requests (default: 200).")

    def answer(self, **options: Any) -> dict[str, Any]:
        if options["limit"] < 1:
            raise CommandError("--limit is at least 1.")
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        wanted = Q(at__gte=moment(options["since"], now()))
        if options["action"]:
            wanted &= Q(action=options["action"])
        newest: list[ScimRequest] = []
        for one in tenants_of(tenant):
            rows = ScimRequest.objects.filter(wanted, tenant_id=one.pk)
            if options["refused"]:
                rows = request_log.refused(rows)
            rows = request_log.matching(rows, options["person"], tenant_id=one.pk)
            newest += rows.order_by("-id")[: options["limit"]]
        rows = sorted(newest, key=lambda row: row.pk)[-options["limit"] :]
        return {"requests": [_told(row) for row in rows]}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        if not answer["requests"]:
            yield "Nothing was asked for."
            return
        yield from table(
            ("At (UTC)", "What was asked", "Status", "scimType", "Reason", "Detail", "ms"),
            [
                (
                    row["at"][:19].replace("T", " "),
                    wording(row["action"]),
                    row["status"],
                    row["scim_type"],
                    row["reason"],
                    row["detail"],
                    row["milliseconds"],
                )
                for row in answer["requests"]
            ],
        )


def _told(row: ScimRequest) -> dict[str, Any]:
    return {
        "id": row.pk,
        "at": row.at.isoformat(),
        "tenant": str(row.tenant_id),
        "connection": str(row.connection_id),
        "token": str(row.token_id),
        "request_id": row.request_id,
        "method": row.method,
        "action": row.action,
        "target": str(row.target_id) if row.target_id else None,
        "status": row.status,
        "scim_type": row.scim_type,
        "reason": row.reason,
        "detail": row.detail,
        "milliseconds": row.milliseconds,
        "results": row.results,
        "body": row.body,
    }
