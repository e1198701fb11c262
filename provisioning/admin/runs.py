"""The pages about reconciliation runs: simulate, look, execute; what the guard stopped waits here for a person."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.paginator import InfinitePaginator

from provisioning import reconciliation
from provisioning.decision.keys import fold
from provisioning.models import Account, Connection, ReconciliationItem, ReconciliationRun
from provisioning.reconciliation.checks import CHECKS
from provisioning.selectors import people_search, plans
from provisioning.selectors.timeline import meaning
from provisioning.services import undo
from provisioning.services.configuration import Invalid

from . import plan
from .base import TenantAdmin, actor_of, said, shown_as_json, tenant_of, within_tenant
from .export import Exported
from .forms import ReasonForm
from .repair import RepairPages

Status = ReconciliationRun.Status
ITEMS_SHOWN = 50
_NOT_EXECUTED = (Status.FAILED, Status.OVERTAKEN, Status.REJECTED, Status.CANCELLED)

_SIGNS = {
    "simulating": "info",
    "simulated": "info",
    "quarantined": "danger",
    "executing": "info",
    "done": "success",
    "failed": "danger",
    "rejected": "warning",
    "cancelled": "warning",
    "overtaken": "warning",
}


def start_simulation(page: TenantAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
    """Asks, then simulates, then shows what a run would do."""

    def act(data: dict[str, Any]) -> Any:
        try:
            run = reconciliation.simulate(connection, actor_of(request), reason=data["reason"])
        except reconciliation.Busy:
            raise Invalid("", "Another run of it is just beginning or ending. Please try again.") from None
        return HttpResponseRedirect(reverse("admin:provisioning_reconciliationrun_change", args=[run.pk]))

    return page.ask(
        request,
        connection,
        ReasonForm(said(request)),
        title=f"Simulate a reconciliation of {connection}",
        lead="Looks for accounts that nobody confirmed, late matches, live sessions of held people and "
        "memberships of deleted accounts. It changes nothing: you see every item before anything is done.",
        submit="Simulate",
        act=act,
    )


@admin.register(ReconciliationRun)
class ReconciliationRunPage(RepairPages):
    list_display = ["run", "connection", "state", "destructive", "population", "finished_at"]
    list_filter = ["status", "connection"]
    list_select_related = ("connection",)
    search_fields = ["connection__name", "note"]
    change_form_template = "provisioning/admin/run.html"
    actions_detail = ["execute", "release", "take_part", "reject", "cancel", "undo"]

    @display(description="Started", ordering="started_at")
    def run(self, run: ReconciliationRun) -> Any:
        return run.started_at

    @display(description="Status", ordering="status", label=_SIGNS)
    def state(self, run: ReconciliationRun) -> tuple[str, str]:
        return run.status, run.get_status_display()

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """A run offers what its status allows."""
        run = self.get_object(request, str(object_id))
        allowed = {
            Status.SIMULATED: {"execute", "reject"}
            if run.released_by
            else {"execute", "take-part", "reject"},
            Status.QUARANTINED: {"release", "take-part", "reject"},
            Status.SIMULATING: {"cancel"},
            Status.EXECUTING: {"execute", "cancel"},
        }.get(run.status, set())
        if run.cancel_requested_at and run.status in (Status.SIMULATING, Status.EXECUTING):
            allowed = set()
        if run.finished_at and undo.items_of(run).exists():
            allowed = {*allowed, "undo"}
        return [act for act in super().get_actions_detail(request, object_id) if act.path in allowed]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.plan_view)
        own = path("<path:object_id>/plan/", view, name="provisioning_reconciliationrun_plan")
        return [own, *super().get_urls()]

    def plan_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return plan.show(self, request, self.get_object(request, object_id))

    def beside(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        run = self.get_object(request, object_id)
        rows = ReconciliationItem.objects.filter(tenant_id=run.tenant_id, run=run)
        # What takes access away stands first: that is what one looks for.
        items = list(rows.select_related("account", "identity").order_by("-destructive", "id")[:ITEMS_SHOWN])
        called = plans.newcomers(run, items)
        for item in items:
            item.sentence = meaning(item.reason)
            item.question = plan.question_of(item.check_name)
            item.new = called.get(item.pk, "")
        return {
            "counts": [
                (code, meaning(code), number)
                for code, number in sorted(run.counts.items(), key=lambda pair: -pair[1])
            ],
            "items": items,
            "items_shown": ITEMS_SHOWN,
            "run": run,
            "progress": plan.progress_of(run),
            "sign": _SIGNS.get(run.status, ""),
            "repairs": self.repairs_of(run),
        }

    @action(
        description="Execute",
        url_path="execute",
        icon="play_arrow",
        variant=ActionVariant.PRIMARY,
        permissions=["act"],
    )
    def execute(self, request: HttpRequest, object_id: str) -> HttpResponse:
        run = self.get_object(request, object_id)

        def act(data: dict[str, Any]) -> str:
            # A run takes minutes, and a request should not: a worker takes it from the outbox.
            reconciliation.order(run, actor_of(request), data["reason"])
            return "A worker executes the run. Reload this page to see how far it is."

        return self.ask(
            request,
            run,
            ReasonForm(said(request)),
            title=f"Execute the run of {run.connection}",
            lead="Each item is decided again under lock: what is no longer so is left alone.",
            submit="Execute",
            danger=bool(run.destructive),
            facts=[("People who lose access", run.destructive), ("People with access", run.population)],
            act=act,
        )

    @action(
        description="Release from quarantine",
        url_path="release",
        icon="lock_open",
        variant=ActionVariant.DANGER,
        permissions=["act"],
    )
    def release(self, request: HttpRequest, object_id: str) -> HttpResponse:
        run = self.get_object(request, object_id)

        def act(data: dict[str, Any]) -> str:
            released = reconciliation.release(run, actor_of(request), data["reason"])
            if released.status in _NOT_EXECUTED:
                return f"Not released: the run is {released.get_status_display().lower()}. {released.note}".strip()
            if released.status == Status.QUARANTINED:
                return "Released by you. Another administrator has to release it, too; nothing is done until then."
            return f"Released: the run is {released.get_status_display().lower()}, and a worker executes it."

        return self.ask(
            request,
            run,
            ReasonForm(said(request)),
            title="Release the run from quarantine",
            lead=f"The guard stopped it: {run.note} {_releases(run)}",
            submit="Release and execute",
            danger=True,
            facts=[("People who lose access", run.destructive), ("People with access", run.population)],
            act=act,
        )

    @action(description="Reject", url_path="reject", icon="close", permissions=["act"])
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponse:
        run = self.get_object(request, object_id)

        def act(data: dict[str, Any]) -> str:
            after = reconciliation.reject(run, actor_of(request), data["reason"])
            if after.status != Status.REJECTED:
                return f"Not rejected: the run is {after.get_status_display().lower()} by now."
            return "Rejected. Nothing of this run will be done."

        return self.ask(
            request,
            run,
            ReasonForm(said(request)),
            title="Reject the run",
            lead="Nothing of it will be done, and the connection's next run may start.",
            submit="Reject it",
            act=act,
        )

    @action(description="Stop", url_path="cancel", icon="stop", permissions=["act"])
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        run = self.get_object(request, object_id)

        def act(data: dict[str, Any]) -> str:
            after = reconciliation.cancel(run, actor_of(request), data["reason"])
            if after.status not in (Status.SIMULATING, Status.EXECUTING, Status.CANCELLED):
                return f"Not stopped: the run is {after.get_status_display().lower()} by now."
            if after.status == Status.CANCELLED:
                return f"Cancelled. {after.items_done} of {after.items_total} items had been decided."
            return "The run stops after the batch in hand."

        return self.ask(
            request,
            run,
            ReasonForm(said(request)),
            title="Stop the run",
            lead="It stops after the batch in hand. What is done stays done; the connection's next run goes on.",
            submit="Stop the run",
            danger=True,
            facts=[("Decided", f"{run.items_done} of {run.items_total}")],
            act=act,
        )


def _releases(run: ReconciliationRun) -> str:
    if run.released_by and not reconciliation.lapsed(run):
        return "Somebody has released it already; a worker executes it when you, as another person, do so."
    if reconciliation.needs_two(run):
        return "It needs two administrators: a worker executes it when another one has released it, too."
    return "A worker executes it as soon as you release it."


class CheckFilter(admin.SimpleListFilter):
    """Offers what a run looks for by its name, without reading a million items for it."""

    title = "check"
    parameter_name = "check"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in CHECKS]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ReconciliationItem]
    ) -> QuerySet[ReconciliationItem]:
        return queryset.filter(check_name=self.value()) if self.value() else queryset


@admin.register(ReconciliationItem)
class ReconciliationItemPage(Exported, TenantAdmin):
    list_display = ["what", "state", "destructive", "account", "identity", "check_name", "decided_at"]
    list_filter = ["status", "destructive", CheckFilter, "run"]
    more_lookups = frozenset({"reason", "check_name"})
    paginator = InfinitePaginator
    show_full_result_count = False
    list_select_related = ("account", "identity", "run__connection")
    search_fields = ["reason"]
    search_help_text = "Name, e-mail or userName of the person, or a reason code"
    fieldsets = [
        (None, {"fields": ["what", ("state", "destructive"), ("account", "identity"), "run", "decided_at"]}),
        ("Would do", {"fields": ["planned"]}),
        ("Evidence", {"fields": ["shown_evidence"]}),
        ("Would take it back", {"fields": ["taken_back"]}),
    ]
    readonly_fields = ["what", "state", "planned", "shown_evidence", "taken_back"]
    export_columns = {
        "run": lambda item: item.run_id,
        "check": lambda item: item.check_name,
        "status": lambda item: item.status,
        "reason": lambda item: item.reason,
        "meaning": lambda item: meaning(item.reason),
        "situation": lambda item: item.situation,
        "destructive": lambda item: item.destructive,
        "account": lambda item: item.account_id,
        "user_name": lambda item: item.account and item.account.user_name,
        "identity": lambda item: item.identity_id,
        "decided_at": lambda item: item.decided_at,
    }

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ReconciliationItem], search_term: str
    ) -> tuple[QuerySet[ReconciliationItem], bool]:
        text = search_term.replace("\x00", "").strip()
        if not text:
            return queryset, False
        named = within_tenant(Account.objects.filter(deleted_at__isnull=True), request, "tenant")
        named = named.filter(user_name_key__startswith=fold(text)).order_by()
        accounts = list(named.values_list("pk", flat=True)[: people_search.FOUND_AT_MOST])
        people = people_search.ids(text, tenant_id=tenant_of(request))
        return queryset.filter(Q(reason=text) | Q(account__in=accounts) | Q(identity__in=people)), False

    @display(description="What")
    def what(self, item: ReconciliationItem) -> str:
        return meaning(item.reason)

    @display(
        description="Status",
        label={
            "reported": "info",
            "planned": "warning",
            "applied": "success",
            "unchanged": "info",
            "refused": "danger",
            "left-out": "warning",
            "undone": "warning",
        },
    )
    def state(self, item: ReconciliationItem) -> tuple[str, str]:
        return item.status, item.get_status_display()

    @display(description="Changes")
    def planned(self, item: ReconciliationItem) -> str:
        return shown_as_json(item.plan)

    @display(description="Facts")
    def shown_evidence(self, item: ReconciliationItem) -> str:
        return shown_as_json(item.evidence)

    @display(description="Changes")
    def taken_back(self, item: ReconciliationItem) -> str:
        return shown_as_json(item.inverse)
