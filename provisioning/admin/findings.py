"""The pages about findings: the doubtful case, its candidates side by side, and the decision."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.timesince import timesince, timeuntil
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from identity_hub.core.clock import now
from identity_hub.core.ids import as_uuid
from provisioning.decision.authority import profile_of_assertion, profile_of_resource
from provisioning.decision.reasons import FindingKind
from provisioning.models import Account, Finding, Identity
from provisioning.selectors.findings import administrators
from provisioning.selectors.overview import AGES, opened_between
from provisioning.selectors.timeline import meaning
from provisioning.services import findings
from provisioning.services.bursts import SEVERITIES
from provisioning.services.invalid import Invalid
from provisioning.services.metadata import proposal_digest

from .base import CHOICES_AT_MOST, TenantAdmin, actor_of, pretty, said, say
from .forms import ReasonForm
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


class OwnerFilter(admin.SimpleListFilter):
    title = "owner"
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        owned = model_admin.get_queryset(request).filter(owner__isnull=False)
        people = Identity.objects.filter(pk__in=owned.values("owner")).order_by("display_name")
        return [
            ("me", "Mine"),
            ("nobody", "Nobody"),
            *((str(person.pk), str(person)) for person in people[:CHOICES_AT_MOST]),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Finding]) -> QuerySet[Finding]:
        match self.value():
            case None:
                return queryset
            case "me":
                return queryset.filter(owner=request.user.pk)
            case "nobody":
                return queryset.filter(owner__isnull=True)
            case key:
                return queryset.filter(owner=as_uuid(key))


class DueFilter(admin.SimpleListFilter):
    title = "due"
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("overdue", "Overdue"), ("week", "Within a week"), ("later", "Later")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Finding]) -> QuerySet[Finding]:
        at = now()
        match self.value():
            case "overdue":
                return queryset.filter(status=Finding.Status.OPEN, due__lt=at)
            case "week":
                return queryset.filter(due__gte=at, due__lt=at + timedelta(days=7))
            case "later":
                return queryset.filter(due__gte=at + timedelta(days=7))
        return queryset


class OwnerForm(ReasonForm):
    owner = forms.ChoiceField(
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="An administrator of the organisation, who sees to this finding.",
    )
    field_order = ["owner", "reason"]

    def __init__(self, *args: Any, choices: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].choices = [("", "Nobody"), *choices]  # type: ignore[attr-defined]
        self.fields["reason"].required = False


class DueForm(ReasonForm):
    due_at = forms.DateField(
        required=False,
        label="Due on",
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="Empty: as its severity says, counted from the day on which it was opened.",
    )
    field_order = ["due_at", "reason"]


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


def due_of(finding: Finding) -> tuple[str, str]:
    """(badge, words) of a finding that comes with `with_due`."""
    at, due = now(), finding.due  # type: ignore[attr-defined]
    if due < at:
        return "overdue", f"Overdue for {timesince(due, at, depth=1)}"
    left = timeuntil(due, at, depth=1)
    return "soon" if due - at < timedelta(days=2) else "", f"In {left}"


@admin.register(Finding)
class FindingPage(TenantAdmin):
    list_display = ["what", "weight", "about", "connection", "age", "due", "owner_name", "state"]
    list_filter = [StatusFilter, "severity", DueFilter, OwnerFilter, AgeFilter, KindFilter, "connection"]
    list_select_related = ("connection", "account", "identity", "owner")
    actions_detail = ["assign", "postpone"]
    search_fields = ["account__user_name_key", "identity__user_name_key", "kind"]
    search_help_text = "userName of the account or the identity"
    change_form_template = "provisioning/admin/finding.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Finding]:
        return super().get_queryset(request).with_due()  # type: ignore[attr-defined, no-any-return]

    @display(description="Due", ordering="due", label={"overdue": "danger", "soon": "warning"})
    def due(self, finding: Finding) -> tuple[str, str] | str:
        if finding.status != Finding.Status.OPEN:
            return "—"
        badge, words = due_of(finding)
        return (badge, words) if badge else words

    @display(description="Owner", ordering="owner__display_name", empty_value="—")
    def owner_name(self, finding: Finding) -> Any:
        return finding.owner

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
        badge, words = due_of(finding)
        return {
            "due_badge": badge,
            "due_words": words,
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

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        finding = self.get_object(request, str(object_id))
        opened = finding.status == Finding.Status.OPEN
        return super().get_actions_detail(request, object_id) if opened else []

    @action(description="Owner", url_path="assign", icon="person_check", permissions=["act"])
    def assign(self, request: HttpRequest, object_id: str) -> HttpResponse:
        finding = self.get_object(request, object_id)
        owners = {str(person.pk): person for person in administrators(finding.tenant_id)}
        mine = str(request.user.pk)
        return self.ask(
            request,
            finding,
            OwnerForm(
                said(request),
                choices=[
                    (key, f"{person} (you)" if key == mine else str(person)) for key, person in owners.items()
                ],
                initial={"owner": str(finding.owner_id or (mine if mine in owners else ""))},
            ),
            title="Who sees to this finding?",
            lead="The owner finds it under *Mine* in the list. Everybody who administers the organisation may still "
            "decide it.",
            submit="Assign",
            act=lambda data: findings.assign(
                finding=finding,
                owner=owners.get(data["owner"]),
                actor=actor_of(request),
                reason=data["reason"],
            ),
        )

    @action(description="Due date", url_path="due", icon="event", permissions=["act"])
    def postpone(self, request: HttpRequest, object_id: str) -> HttpResponse:
        finding = self.get_object(request, object_id)
        return self.ask(
            request,
            finding,
            DueForm(said(request), initial={"due_at": finding.due_at and finding.due_at.date()}),
            title="When is this finding due?",
            lead=f"As it stands it is due on {finding.due:%Y-%m-%d}.",
            submit="Change the date",
            act=lambda data: findings.postpone(
                finding=finding,
                due_at=data["due_at"] and datetime.combine(data["due_at"], time.max, UTC),
                actor=actor_of(request),
                reason=data["reason"],
            ),
        )

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
