"""The pages of the provisioning log: what a directory asked for, about whom, and how it ended. Nobody writes here."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from identity_hub.core.clock import now
from identity_hub.core.ids import as_uuid
from provisioning.models import (
    Account,
    AuditRecord,
    Connection,
    DirectoryGroup,
    Identity,
    ScimRequest,
    ScimToken,
)
from provisioning.models.requests import wording
from provisioning.selectors import people_search, request_log
from provisioning.selectors.timeline import meaning

from .base import TenantAdmin, pretty, tenant_of, within_tenant
from .export import Exported
from .records import SourceFilter
from .site import Found

_READS = ("read", "list", "look-up")
_ACTIONS = (
    *(f"user.{verb}" for verb in ("create", "replace", "update", "rename", "enable", "disable", "delete")),
    *(f"group.{verb}" for verb in ("create", "add-members", "remove-members", "replace-members", "rename")),
    *("group.update", "group.replace", "group.delete", "bulk"),
    *(f"{noun}.{verb}" for noun in ("user", "group") for verb in _READS),
    "discovery",
)
_SCIM_TYPES = (
    *("uniqueness", "mutability", "noTarget", "tooMany", "sensitive", "invalidVers"),
    *("invalidValue", "invalidSyntax", "invalidFilter", "invalidPath"),
    *("invalidCursor", "expiredCursor", "invalidCount"),
)
_STATUSES = (200, 201, 204, 304, 400, 401, 403, 404, 405, 409, 412, 413, 415, 429, 500, 501, 503)


class OutcomeFilter(admin.SimpleListFilter):
    title = "outcome"
    parameter_name = "ended"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("refused", "Refused"),
            ("failed", "Failed here (5xx)"),
            ("written", "Written"),
            ("read", "Read"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ScimRequest]) -> QuerySet[ScimRequest]:
        match self.value():
            case "refused":
                return request_log.refused(queryset)
            case "failed":
                return queryset.filter(status__gte=500)
            case "written":
                return request_log.written(queryset)
            case "read":
                return request_log.read(queryset)
        return queryset


class ActionFilter(admin.SimpleListFilter):
    title = "action"
    parameter_name = "did"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(action, wording(action)) for action in _ACTIONS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ScimRequest]) -> QuerySet[ScimRequest]:
        return queryset.filter(action=self.value()) if self.value() else queryset


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "answered"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(status), f"{status} {HTTPStatus(status).phrase}") for status in _STATUSES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ScimRequest]) -> QuerySet[ScimRequest]:
        value = self.value() or ""
        if value.isascii() and value.isdigit() and len(value) == 3:
            return queryset.filter(status=int(value))
        return queryset.none() if value else queryset


class ScimTypeFilter(admin.SimpleListFilter):
    title = "scimType"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(code, code) for code in _SCIM_TYPES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ScimRequest]) -> QuerySet[ScimRequest]:
        # Only refusals have one; saying so lets the index of refusals answer.
        return request_log.refused(queryset).filter(scim_type=self.value()) if self.value() else queryset


class TimeFilter(admin.SimpleListFilter):
    title = "time"
    parameter_name = "within"
    spans = {
        "hour": ("The last hour", timedelta(hours=1)),
        "day": ("The last 24 hours", timedelta(days=1)),
        "week": ("The last 7 days", timedelta(days=7)),
        "month": ("The last 30 days", timedelta(days=30)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, words) for key, (words, _) in self.spans.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ScimRequest]) -> QuerySet[ScimRequest]:
        if not self.value():
            return queryset
        if (span := self.spans.get(self.value() or "")) is None:
            return queryset.none()
        return queryset.filter(at__gte=now() - span[1])


class PersonFilter(admin.SimpleListFilter):
    """For the link on an identity's page; it offers nothing by itself."""

    title = "person"
    parameter_name = "person"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        self.identity: Identity | None = None
        if (named := params.get(self.parameter_name)) and (key := as_uuid(named[-1])):
            rows = within_tenant(Identity.objects.all(), request, "tenant")
            self.identity = rows.filter(pk=key).first()
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        if self.identity is not None:
            return [(str(self.identity.pk), str(self.identity))]
        # A person who is not there: a choice without a name, so that the list is empty and not whole.
        return [("", "Nobody")] if self.parameter_name in request.GET else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[ScimRequest]) -> QuerySet[ScimRequest]:
        if not self.value():
            return queryset
        return request_log.about(queryset, self.identity) if self.identity else queryset.none()


def signal_of(scim_request: ScimRequest) -> str:
    """The colour of an outcome."""
    if scim_request.status >= 500 or scim_request.status == 429:
        return "warning"
    if scim_request.status >= 400:
        return "danger"
    return "info" if scim_request.method in ("GET", "HEAD") else "success"


def ended_in(scim_request: ScimRequest) -> str:
    """`409 uniqueness`, `201 Created`."""
    status = scim_request.status
    if scim_request.scim_type:
        return f"{status} {scim_request.scim_type}"
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def answer_of(scim_request: ScimRequest) -> str:
    """One sentence: what the parser or the decision said."""
    if scim_request.status >= 400 and scim_request.detail:
        return str(scim_request.detail)
    if scim_request.reason:
        return meaning(scim_request.reason)
    if scim_request.results is not None:
        return f"{scim_request.results or 'None'} found"
    return str(scim_request.detail)


@admin.register(ScimRequest)
class ScimRequestPage(Exported, TenantAdmin):
    tenant_path = "tenant_id"
    list_display = ["when", "what", "outcome", "target", "answer", "source", "took"]
    list_display_links = ["when", "what"]
    # Millions of rows: counting them all would cost more than showing a page of them.
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_filter = [
        OutcomeFilter,
        TimeFilter,
        SourceFilter,
        ActionFilter,
        ScimTypeFilter,
        StatusFilter,
        PersonFilter,
    ]
    more_lookups = frozenset({"target_id", "request_id", "token_id", "connection_id"})
    search_fields = ["request_id"]
    search_help_text = "A person's whole userName, externalId or e-mail; an id; a request id"
    change_form_template = "provisioning/admin/request.html"
    ordering = ["-id"]
    export_columns = {
        "at": lambda row: row.at,
        "action": lambda row: row.action,
        "method": lambda row: row.method,
        "status": lambda row: row.status,
        "scim_type": lambda row: row.scim_type,
        "reason": lambda row: row.reason,
        "detail": lambda row: row.detail,
        "target": lambda row: row.target_id,
        "connection": lambda row: row.connection_id,
        "token": lambda row: row.token_id,
        "milliseconds": lambda row: row.milliseconds,
        "results": lambda row: row.results,
        "request_id": lambda row: row.request_id,
    }

    def get_list_select_related(self, request: HttpRequest) -> Sequence[str]:
        return ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[ScimRequest]:
        def named(model: Any, column: str, key: str = "target_id") -> Subquery:
            # The log points at nothing by foreign key: it outlives what it names.
            rows = model.objects.filter(pk=OuterRef(key), tenant=OuterRef("tenant_id"))
            return Subquery(rows.order_by().values(column)[:1])

        return (
            super()
            .get_queryset(request)
            .annotate(
                account_name=named(Account, "user_name"),
                group_name=named(DirectoryGroup, "display_name"),
                connection_name=named(Connection, "name", "connection_id"),
            )
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ScimRequest], search_term: str
    ) -> tuple[QuerySet[ScimRequest], bool]:
        return request_log.matching(queryset, search_term, tenant_id=tenant_of(request)), False

    def find(self, request: HttpRequest, key: str) -> list[Found]:
        """For the search over all pages: somebody of whom there is nothing but a refused request."""
        tenant_id = tenant_of(request)
        rows = request_log.refused(self.get_queryset(request))
        newest = request_log.matching(rows, key, tenant_id=tenant_id).order_by("-id").first()
        if newest is None or self._is_known(request, key):
            return []
        return [
            Found(
                title=f"{wording(newest.action)}, refused",
                kind=f"{newest.at:%Y-%m-%d %H:%M} · {newest.connection_name or 'a former connection'}",
                link=self.address_of(newest),
                icon="swap_horiz",
                state=ended_in(newest),
                good=False,
                answer=answer_of(newest),
            )
        ]

    def _is_known(self, request: HttpRequest, key: str) -> bool:
        people = within_tenant(Identity.objects.all(), request, "tenant")
        return bool(people_search.matching(people, key, tenant_id=tenant_of(request)).exists())

    @display(description="When", ordering="id")
    def when(self, row: ScimRequest) -> str:
        return format_html('<span class="hub-nowrap">{}</span>', f"{row.at:%Y-%m-%d %H:%M:%S}")

    @display(description="What was asked")
    def what(self, row: ScimRequest) -> str:
        return wording(row.action)

    @display(description="Outcome", ordering="status")
    def outcome(self, row: ScimRequest) -> str:
        # The theme's own label writes capitals only; a scimType has small letters that mean something.
        badge = '<span class="hub-cell"><span class="hub-badge hub-{}">{}</span></span>'
        return format_html(badge, signal_of(row), ended_in(row))

    @display(description="About")
    def target(self, row: ScimRequest) -> str:
        page, name = _target(row)
        if not page:
            return name
        address = reverse(f"admin:provisioning_{page}_change", args=[row.target_id])
        return format_html('<a class="hub-link" href="{}">{}</a>', address, name)

    @display(description="Answer")
    def answer(self, row: ScimRequest) -> str:
        return answer_of(row)

    @display(description="Connection")
    def source(self, row: ScimRequest) -> str:
        return row.connection_name or "—"  # type: ignore[attr-defined, no-any-return]

    @display(description="ms", ordering="milliseconds")
    def took(self, row: ScimRequest) -> str:
        return f"{row.milliseconds:.1f}"

    def beside(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        row: ScimRequest = self.get_object(request, object_id)
        tenant_id = row.tenant_id
        page, name = _target(row)
        account = (
            Account.objects.filter(tenant_id=tenant_id, pk=row.target_id).select_related("identity").first()
        )
        records = AuditRecord.objects.filter(tenant_id=tenant_id, request_id=row.request_id).order_by("id")
        around = ScimRequest.objects.filter(tenant_id=tenant_id, target_id=row.target_id).exclude(pk=row.pk)
        return {
            "title": wording(row.action),
            "signal": signal_of(row),
            "ended": ended_in(row),
            "answer": answer_of(row),
            "sentence": meaning(row.reason) if row.reason else "",
            "connection": Connection.objects.filter(tenant_id=tenant_id, pk=row.connection_id).first(),
            "token": ScimToken.objects.filter(tenant_id=tenant_id, pk=row.token_id).first(),
            "target_page": f"admin:provisioning_{page}_change" if page else "",
            "target_name": name,
            "identity": account.identity if account else None,
            "sent": pretty(row.body) if row.body is not None else "",
            "records": [(record, meaning(record.reason)) for record in records[:20]]
            if row.request_id
            else [],
            "around": told(list(around.order_by("-id")[:10])) if row.target_id else [],
        }

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """What the request changed is in the audit, under its id."""
        row: ScimRequest = self.get_object(request, object_id)
        named = urlencode({"request_id": row.request_id})
        return HttpResponseRedirect(f"{reverse('admin:provisioning_auditrecord_changelist')}?{named}")

    def numbers(self, request: HttpRequest, since: datetime) -> list[tuple[str, int, str]]:
        """For the start page: what directories asked for and did not get."""
        rows = request_log.refused(ScimRequest.objects.filter(at__gte=since))
        number = within_tenant(rows, request, "tenant_id").order_by().values("pk")[:1000].count()
        link = reverse("admin:provisioning_scimrequest_changelist") + "?ended=refused&within=day"
        return [("SCIM requests refused", number, link)]


def _target(row: ScimRequest) -> tuple[str, str]:
    """(the model whose page it has, what it is called); what is gone has neither."""
    if row.target_id is None:
        return "", "—"
    if row.account_name is not None:  # type: ignore[attr-defined]
        return "account", row.account_name or f"{row.target_id}"  # type: ignore[attr-defined]
    if row.group_name is not None:  # type: ignore[attr-defined]
        return "directorygroup", row.group_name  # type: ignore[attr-defined]
    return "", f"{str(row.target_id)[:8]}…"


def told(rows: Sequence[ScimRequest]) -> list[dict[str, Any]]:
    """Requests as short lines for the pages of those whom they are about."""
    return [
        {
            "id": row.pk,
            "at": row.at,
            "what": wording(row.action),
            "signal": signal_of(row),
            "ended": ended_in(row),
            "answer": answer_of(row),
        }
        for row in rows
    ]
