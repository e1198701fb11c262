"""The pages of records: the audit and the outbox. Nobody writes them here."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from identity_hub.core.ids import as_uuid
from provisioning.decision.types import Actor
from provisioning.models import AuditRecord, AuditValue, Connection, Identity, OutboxMessage
from provisioning.selectors.merges import all_ids
from provisioning.selectors.timeline import actor_names, meaning

from .base import TenantAdmin, shown_as_json, tenant_of, within_tenant
from .export import Exported
from .lists import ShownList

CHANNELS = {
    "scim": "SCIM",
    "saml": "Sign-in",
    "roster": "Reconciliation",
    "admin": "Administrator",
}


class ChannelFilter(admin.SimpleListFilter):
    title = "channel"
    parameter_name = "by"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(CHANNELS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditRecord]) -> QuerySet[AuditRecord]:
        return queryset.filter(channel=self.value()) if self.value() else queryset


class VerdictFilter(admin.SimpleListFilter):
    title = "verdict"
    parameter_name = "ended"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("applied", "Applied"), ("unchanged", "Unchanged"), ("refused", "Refused")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditRecord]) -> QuerySet[AuditRecord]:
        return queryset.filter(verdict=self.value()) if self.value() else queryset


class SourceFilter(admin.SimpleListFilter):
    """The audit points at nothing by foreign key, so its connections are offered here."""

    title = "connection"
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = within_tenant(Connection.objects.all(), request, "tenant")[:200]
        return [(str(row.pk), str(row)) for row in rows]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditRecord]) -> QuerySet[AuditRecord]:
        if not self.value():
            return queryset
        key = as_uuid(self.value() or "")
        return queryset.filter(connection_id=key) if key else queryset.none()


class AuditList(ShownList):
    """Its rows come with the names of all who did something on the page: one look-up for them together."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        actors = {Actor(kind=record.actor_kind, id=record.actor_id) for record in self.result_list}
        names = actor_names(actors, tenant_of(request))
        for record in self.result_list:
            record.actors = names


@admin.register(AuditRecord)
class AuditRecordPage(Exported, TenantAdmin):
    tenant_path = "tenant_id"
    list_display = ["when", "what", "ended", "through", "intent", "actor", "request_id"]
    list_display_links = ["when", "what"]
    # Millions of rows: counting them all would cost more than showing a page of them.
    paginator = InfinitePaginator
    show_full_result_count = False
    list_filter = [ChannelFilter, VerdictFilter, SourceFilter]
    more_lookups = frozenset(
        {"identity_id", "account_id", "connection_id", "object_id", "request_id", "reason"}
    )
    search_fields = ["request_id"]
    search_help_text = (
        "Id of an identity, an account, a connection, a finding or a run; request id; reason code"
    )
    date_hierarchy = None
    fieldsets = [
        (None, {"fields": ["when", "what", "reason", ("ended", "situation"), ("channel", "intent")]}),
        ("Who and where", {"fields": ["actor", "request_id", ("connection_id", "object_id")]}),
        ("About", {"fields": [("identity_id", "account_id")]}),
        ("Changes", {"fields": ["changed", "values", "digests"]}),
    ]
    readonly_fields = ["when", "what", "ended", "actor", "changed", "values"]
    export_columns = {
        "at": lambda record: record.at,
        "reason": lambda record: record.reason,
        "meaning": lambda record: meaning(record.reason),
        "verdict": lambda record: record.verdict,
        "situation": lambda record: record.situation,
        "channel": lambda record: record.channel,
        "intent": lambda record: record.intent,
        "actor": lambda record: f"{record.actor_kind}:{record.actor_id}",
        "request_id": lambda record: record.request_id,
        "connection": lambda record: record.connection_id,
        "account": lambda record: record.account_id,
        "identity": lambda record: record.identity_id,
        "object": lambda record: record.object_id,
    }

    def get_list_select_related(self, request: HttpRequest) -> Sequence[str]:
        return ()

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ShownList]:
        return AuditList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditRecord], search_term: str
    ) -> tuple[QuerySet[AuditRecord], bool]:
        text = search_term.replace("\x00", "").strip()
        if not text:
            return queryset, False
        key = as_uuid(text)
        if key is None:
            # A code has a colon in it, a request id has none: two columns joined by OR would be read row by row.
            return queryset.filter(Q(reason=text) if ":" in text else Q(request_id=text)), False
        # Under every id that has meant a person; whose rows they are is the list's matter.
        person = within_tenant(Identity.objects.filter(pk=key), request, "tenant").first()
        if person is not None:
            return queryset.filter(identity_id__in=all_ids(person)), False
        if queryset.filter(account_id=key).exists():
            return queryset.filter(account_id=key), False
        if queryset.filter(request_id=text).exists():
            return queryset.filter(request_id=text), False
        return queryset.filter(Q(connection_id=key) | Q(object_id=key) | Q(identity_id=key)), False

    @display(description="When", ordering="id")
    def when(self, record: AuditRecord) -> str:
        return f"{record.at:%Y-%m-%d %H:%M:%S}"

    @display(description="What happened")
    def what(self, record: AuditRecord) -> str:
        return meaning(record.reason)

    @display(
        description="Verdict",
        ordering="verdict",
        label={"applied": "success", "unchanged": "info", "refused": "danger", "stale": "warning"},
    )
    def ended(self, record: AuditRecord) -> tuple[str, str]:
        return record.verdict, record.verdict.capitalize()

    @display(description="Through", ordering="channel")
    def through(self, record: AuditRecord) -> str:
        return CHANNELS.get(record.channel, record.channel)

    @display(description="Actor")
    def actor(self, record: AuditRecord) -> str:
        actor = Actor(kind=record.actor_kind, id=record.actor_id)
        names = getattr(record, "actors", None) or actor_names({actor}, record.tenant_id)
        return names[actor]

    @display(description="Changes")
    def changed(self, record: AuditRecord) -> str:
        return shown_as_json(record.changes)

    @display(description="Values")
    def values(self, record: AuditRecord) -> str:
        row = AuditValue.objects.filter(tenant_id=record.tenant_id, pk=record.pk).first()
        return shown_as_json(row.values) if row else "none, or purged"


@admin.register(OutboxMessage)
class OutboxMessagePage(TenantAdmin):
    tenant_path = "tenant_id"
    superuser_only = True
    list_display = ["topic", "created_at", "available_at", "attempts", "done_at", "last_error"]
    list_filter = ["topic"]
    ordering = ["-id"]

    def get_list_select_related(self, request: HttpRequest) -> Sequence[str]:
        return ()
