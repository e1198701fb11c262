"""The pages about findings: the doubtful case, its candidates side by side, and the decision."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.timesince import timesince
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from identity_hub.core.clock import now
from identity_hub.core.ids import as_uuid
from provisioning.decision.authority import profile_of_assertion, profile_of_resource
from provisioning.decision.reasons import FindingKind
from provisioning.models import Account, Finding, Identity
from provisioning.selectors.overview import AGES, opened_between
from provisioning.selectors.timeline import meaning
from provisioning.services import findings
from provisioning.services.bursts import SEVERITIES
from provisioning.services.invalid import Invalid
from provisioning.services.metadata import proposal_digest

from .base import TenantAdmin, actor_of, pretty, said, say
from .identities import state_of


class StatusFilter(admin.SimpleListFilter):
    """Open ones first: what is decided is history."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*Finding.Status.choices, ("all", "All")]

    def choices(self, changelist: Any) -> Any:
        for value, title in self.lookup_choices:
            yield {
                "selected": (self.value() or Finding.Status.OPEN) == value,
                "query_string": changelist.get_query_string({self.parameter_name: value}),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Finding]) -> QuerySet[Finding]:
        value = self.value() or Finding.Status.OPEN
        return queryset if value == "all" else queryset.filter(status=value)


class AgeFilter(admin.SimpleListFilter):
    title = "age"
    parameter_name = "age"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name.capitalize()) for name, _, _ in AGES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Finding]) -> QuerySet[Finding]:
        for name, since, until in AGES:
            if name == self.value():
                return queryset.filter(opened_between(now(), since, until))
        return queryset


class KindFilter(admin.SimpleListFilter):
    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        kinds = model_admin.get_queryset(request).order_by("kind").values_list("kind", flat=True).distinct()
        return [(kind, meaning(kind)) for kind in kinds]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Finding]) -> QuerySet[Finding]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class DecisionForm(forms.Form):
    candidate = forms.UUIDField(required=False)
    approve = forms.TypedChoiceField(
        choices=[("yes", "yes"), ("no", "no")], coerce=lambda value: value == "yes"
    )
    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept in the audit for good. Please write no personal details.",
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One attribute of the account beside the same of each candidate: (value, whether it agrees)."""

    name: str
    said: str
    candidates: list[tuple[str, bool]]


_COMPARED = (
    ("userName", "user_name"),
    ("E-mail", "email"),
    ("Display name", "display_name"),
    ("Given name", "given_name"),
    ("Family name", "family_name"),
    ("Department", "department"),
    ("Title", "title"),
    ("HR number", "hr_number"),
)


def _said(account: Account | None) -> dict[str, str]:
    """What the account's connection says, by the names that an identity has for it."""
    if account is None:
        return {}
    resource, assertion = profile_of_resource(account.resource), profile_of_assertion(account.assertion)
    said = {
        name: getattr(resource, name) or getattr(assertion, name)
        for _, name in _COMPARED
        if name != "user_name"
    }
    return {**said, "user_name": account.user_name}


def compare(account: Account | None, candidates: list[Identity]) -> list[Row]:
    said = _said(account)
    rows = []
    for label, name in _COMPARED:
        mine = said.get(name, "")
        theirs = [getattr(candidate, name) for candidate in candidates]
        if mine or any(theirs):
            rows.append(
                Row(
                    name=label,
                    said=mine,
                    candidates=[(their, bool(mine) and mine.lower() == their.lower()) for their in theirs],
                )
            )
    return rows


def _weighed(finding: Finding, candidates: list[Identity]) -> list[tuple[str, list[list[str]]]]:
    """What the rules said for and against each candidate, where the evidence tells."""
    told = {
        said.get("identity"): said
        for said in finding.evidence.get("candidates", ())
        if isinstance(said, dict)
    }
    rows = []
    for label, name in (("Speaks for it", "rules"), ("Speaks against it", "vetoes")):
        cells = [list(told.get(str(candidate.pk), {}).get(name, ())) for candidate in candidates]
        if any(cells):
            rows.append((label, [[str(word).replace("-", " ") for word in cell] for cell in cells]))
    return rows


def _about(finding: Finding) -> tuple[str, str] | None:
    """Whether the person may sign in now: an approval lifts one hold, and there may be others."""
    rows = Identity.objects.with_state().filter(tenant_id=finding.tenant_id, pk=finding.identity_id)
    identity = rows.prefetch_related("holds").first()
    return state_of(identity) if identity is not None else None


def _proposal(finding: Finding) -> str:
    """Names the metadata that the page asks about, so that nobody decides about another document."""
    return proposal_digest(finding.connection) if finding.connection else ""


def _counted(finding: Finding) -> list[tuple[str, Any]]:
    """A burst in words."""
    if finding.kind not in SEVERITIES:
        return []
    said = finding.evidence
    return [
        (f"At most in {said['minutes']} minutes", said["most"]),
        ("Threshold", said["threshold"]),
        ("First seen", datetime.fromisoformat(said["first"])),
        ("Last seen", datetime.fromisoformat(said["last"])),
        *((meaning(reason), number) for reason, number in said["reasons"].items()),
        *([("Of these not signed by the identity provider", said["noise"])] if said.get("noise") else []),
    ]


@admin.register(Finding)
class FindingPage(TenantAdmin):
    list_display = ["what", "weight", "about", "connection", "age", "state"]
    list_filter = [StatusFilter, "severity", AgeFilter, KindFilter, "connection"]
    list_select_related = ("connection", "account", "identity")
    search_fields = ["account__user_name_key", "identity__user_name_key", "kind"]
    search_help_text = "userName of the account or the identity"
    change_form_template = "provisioning/admin/finding.html"

    @display(description="What")
    def what(self, finding: Finding) -> str:
        return meaning(finding.kind)

    @display(
        description="Severity",
        ordering="severity",
        label={"high": "danger", "medium": "warning", "low": "info"},
    )
    def weight(self, finding: Finding) -> tuple[str, str]:
        return finding.severity, finding.get_severity_display()

    @display(description="About")
    def about(self, finding: Finding) -> str:
        return str(finding.account or finding.identity or finding.evidence.get("domain") or "—")

    @display(description="Waiting", ordering="-opened_at")
    def age(self, finding: Finding) -> str:
        return timesince(finding.opened_at, finding.decided_at or now(), depth=1)

    @display(
        description="Status",
        label={"open": "warning", "approved": "success", "rejected": "info", "obsolete": "info"},
    )
    def state(self, finding: Finding) -> tuple[str, str]:
        return finding.status, finding.get_status_display()

    def beside(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        finding: Finding = self.get_object(request, object_id)
        ids = [key for name in finding.candidates if (key := as_uuid(name)) is not None]
        found = {
            row.pk: row
            for row in Identity.objects.with_state()
            .filter(tenant_id=finding.tenant_id, pk__in=ids)
            .prefetch_related("holds")
        }
        candidates = [found[key] for key in ids if key in found]
        account = finding.account
        waiting = account is not None and account.identity_id is None and account.deleted_at is None
        return {
            "sentence": meaning(finding.kind),
            "candidates": [(candidate, *state_of(candidate)) for candidate in candidates],
            "comparison": compare(account, candidates),
            "weighed": _weighed(finding, candidates),
            "about": _about(finding),
            "counted": _counted(finding),
            "evidence": pretty(finding.evidence) if finding.evidence else "",
            "waiting": waiting,
            "requested": finding.kind == FindingKind.APPROVAL_REQUESTED,
            "open": finding.status == Finding.Status.OPEN,
            "decision": DecisionForm(initial={"seen": _proposal(finding)}),
        }

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.decide_view)
        return [
            path("<path:object_id>/decide/", view, name="provisioning_finding_decide"),
            *super().get_urls(),
        ]

    def decide_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        finding = self.get_object(request, object_id)
        back = HttpResponseRedirect(self.address_of(finding))
        form = DecisionForm(said(request))
        if not form.is_valid():
            messages.error(request, "Nothing was decided: please say why.")
            return back
        chosen = form.cleaned_data["candidate"]
        if chosen is not None and str(chosen) not in finding.candidates:
            messages.error(request, "Nothing was decided: this person is no candidate.")
            return back
        try:
            outcome = findings.decide(
                finding=finding,
                approve=form.cleaned_data["approve"],
                reason=form.cleaned_data["reason"],
                identity_id=chosen,
                actor=actor_of(request),
                seen=form.cleaned_data["seen"],
            )
        except Invalid as refusal:
            messages.error(request, f"Nothing was decided. {refusal.message}")
            return back
        say(request, outcome)
        return back
