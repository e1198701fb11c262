"""`manage.py audit`: what happened to somebody, or since when, in order."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import Q, QuerySet

from identity_hub.core.clock import now
from provisioning.management.base import HubCommand, moment, table, tenant_named
from provisioning.management.lookup import identities_named, tenants_of
from provisioning.models import AuditRecord
from provisioning.selectors.timeline import meaning, records_of


class Command(HubCommand):
    help = "Prints the audit in order, oldest first: of one identity, or since a moment. The newest --limit records."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--identity", default="", metavar="KEY", help="Id, userName, e-mail or an old name."
        )
        parser.add_argument("--since", default="", help="2h, 30m, 7d, a date, or a date with time (UTC).")
        parser.add_argument("--tenant", default="", help="Look in this tenant only.")
        parser.add_argument("--limit", type=int, default=200, help="At most so many records (default: 200).")

    def answer(self, **options: Any) -> dict[str, Any]:
        if not (options["identity"] or options["since"]):
            raise CommandError("Give --identity, --since, or both.")
        if options["limit"] < 1:
            raise CommandError("--limit is at least 1.")
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        condition = Q(at__gte=moment(options["since"], now())) if options["since"] else Q()
        if options["identity"]:
            sources = [_of_identity(options["identity"], tenant)]
        else:
            sources = [AuditRecord.objects.filter(tenant_id=one.pk) for one in tenants_of(tenant)]
            if tenant is None:
                sources.append(AuditRecord.objects.filter(tenant_id=None))
        newest = [
            row for source in sources for row in source.filter(condition).order_by("-id")[: options["limit"]]
        ]
        rows = sorted(newest, key=lambda row: row.pk)[-options["limit"] :]
        return {"records": [_told(row) for row in rows]}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        if not answer["records"]:
            yield "Nothing is on record."
            return
        yield from table(
            ("At (UTC)", "Channel", "Intent", "What happened", "Meaning", "Actor"),
            [
                (
                    row["at"][:19].replace("T", " "),
                    row["channel"],
                    row["intent"],
                    row["reason"],
                    meaning(row["reason"]),
                    row["actor"],
                )
                for row in answer["records"]
            ],
        )


def _of_identity(key: str, tenant: Any) -> QuerySet[AuditRecord]:
    found = identities_named(key, tenant)
    if not found:
        raise CommandError(f"Nobody answers to {key!r}.")
    if len(found) > 1:
        ids = ", ".join(str(hit.identity.pk) for hit in found[:5])
        raise CommandError(f"{len(found)} identities answer to {key!r}; give an id: {ids}.")
    return records_of(found[0].identity)


def _told(row: AuditRecord) -> dict[str, Any]:
    return {
        "id": row.pk,
        "at": row.at.isoformat(),
        "actor": f"{row.actor_kind}:{row.actor_id}" if row.actor_id else row.actor_kind,
        "channel": row.channel,
        "intent": row.intent,
        "situation": row.situation,
        "verdict": row.verdict,
        "reason": row.reason,
        "tenant": str(row.tenant_id) if row.tenant_id else None,
        "connection": str(row.connection_id) if row.connection_id else None,
        "account": str(row.account_id) if row.account_id else None,
        "identity": str(row.identity_id) if row.identity_id else None,
        "object": str(row.object_id) if row.object_id else None,
        "request_id": row.request_id,
        "changes": row.changes,
    }
