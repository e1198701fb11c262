"""The pages about findings: the doubtful case, its candidates side by side, and the decision."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.timesince import timesince, timeuntil
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from identity_hub.core.clock import end_of, now
from identity_hub.core.ids import as_uuid
from provisioning.decision.reasons import FindingKind
from provisioning.decision.score import LIKELY_FROM, Score, weigh
from provisioning.decision.types import Verdict
from provisioning.models import (
    Account,
    DirectoryGroup,
    Entitlement,
    Finding,
    Identity,
    ReconciliationRun,
    ScimClient,
    ScimToken,
    TenantDomain,
)
from provisioning.selectors import comparison, contradictions
from provisioning.selectors.comparison import Side
from provisioning.selectors.doubts import persons
from provisioning.selectors.findings import administrators
from provisioning.selectors.overview import AGES, opened_between
from provisioning.selectors.timeline import meaning
from provisioning.services import findings, remedies
from provisioning.services.bursts import SEVERITIES
from provisioning.services.invalid import Invalid
from provisioning.services.metadata import proposal_digest

from .base import CHOICES_AT_MOST, TenantAdmin, actor_of, link_to, pretty, said, say
from .foreseen import moving, words
from .forms import ReasonField, ReasonForm
from .identities import state_of
from .lists import Counted
from .many_findings import ManyFindings

COLUMNS_AT_MOST = 6
SHOWN_AT_MOST = 10


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


class DueForm(ReasonForm):
    due_at = forms.DateField(
        required=False,
        label="Due on",
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="Empty: as its severity says, counted from the day on which it was opened.",
    )
    field_order = ["due_at", "reason"]


class DecisionForm(forms.Form):
    remedy = forms.CharField(max_length=80)
    reason = ReasonField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))
    seen = forms.CharField(required=False, widget=forms.HiddenInput)


OF_ACCOUNTS = frozenset({FindingKind.ATTRIBUTE_CONFLICT, FindingKind.STATES_DIFFER})
"""About one person whose accounts say different things: these are the columns."""


def sides_of(finding: Finding) -> list[Side]:
    """What the page lays side by side: whom the finding is about, and each candidate."""
    tenant_id, account = finding.tenant_id, finding.account
    if finding.kind in OF_ACCOUNTS:
        accounts = Account.objects.filter(
            tenant_id=tenant_id, identity=finding.identity_id, deleted_at__isnull=True
        )
        keys = accounts.order_by("connection__precedence", "id").values_list("pk", flat=True)
        if finding.kind == FindingKind.ATTRIBUTE_CONFLICT:
            return comparison.of_sources(tenant_id, list(keys[:COLUMNS_AT_MOST]))[:COLUMNS_AT_MOST]
        return comparison.of_accounts(tenant_id, list(keys[:COLUMNS_AT_MOST]))
    candidates = [key for name in finding.candidates if (key := as_uuid(name)) is not None][:COLUMNS_AT_MOST]
    first = [account.pk] if account is not None else []
    if other := as_uuid(finding.evidence.get("other") or finding.evidence.get("account") or ""):
        return comparison.of_accounts(tenant_id, list(dict.fromkeys([*first, other])))
    about = account.identity_id if account is not None and account.identity_id else finding.identity_id
    if account is not None and (account.identity_id is None or not candidates):
        return [
            *comparison.of_accounts(tenant_id, first),
            *comparison.of_identities(tenant_id, candidates),
        ]
    keys = list(dict.fromkeys([key for key in (about, *candidates) if key is not None]))
    return comparison.of_identities(tenant_id, keys)


def scores_of(finding: Finding, sides: list[Side]) -> list[Score | None]:
    """How likely each column is the first one's person, by what is known now."""
    if len(sides) < 2 or finding.kind in OF_ACCOUNTS:
        return [None for _ in sides]
    identities = [side.row.pk for side in sides if side.is_identity]
    people = persons(finding.tenant_id, identities, now()) if identities else {}
    weighed = [
        people.get(side.row.pk) if isinstance(side.row, Identity) else comparison.person_of(side.row)
        for side in sides
    ]
    domains = frozenset(
        TenantDomain.objects.filter(tenant_id=finding.tenant_id, verified_at__isnull=False).values_list(
            "domain", flat=True
        )
    )
    return [
        weigh(weighed[0], one, domains) if number and one and weighed[0] else None
        for number, one in enumerate(weighed)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A side with what the page says at its head."""

    side: Side
    badge: str
    state: str
    link: str
    title: str
    kind: str
    score: Score | None
    rules: list[str]
    vetoes: list[str]

    @property
    def likely(self) -> bool:
        return self.score is not None and self.score.value >= LIKELY_FROM


def columns_of(finding: Finding, sides: list[Side]) -> list[Column]:
    told = {
        said.get("identity"): said
        for said in finding.evidence.get("candidates", ())
        if isinstance(said, dict)
    }
    columns = []
    for side, score in zip(sides, scores_of(finding, sides), strict=True):
        row = side.row
        said = told.get(str(row.pk), {})
        if isinstance(row, Identity):
            badge, state = state_of(row)
        else:
            state = side.sources[0].state.capitalize()
            badge = "enabled" if side.sources[0].state == "active" else "gone"
        columns.append(
            Column(
                side=side,
                badge=badge,
                state=state,
                link=address_of(row),
                title=str(row),
                kind="Person" if isinstance(row, Identity) else f"Account of {row.connection}",
                score=score,
                rules=_spoken(said.get("rules")),
                vetoes=_spoken(said.get("vetoes")),
            )
        )
    return columns


def _spoken(codes: Any) -> list[str]:
    return [str(code).lstrip("0123456789-").replace("-", " ") for code in codes or ()]


def address_of(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def _facts(finding: Finding) -> list[tuple[str, Any]]:
    """What the evidence of a case about a thing, and not a person, says in words."""
    said, tenant_id = finding.evidence, finding.tenant_id
    match finding.kind:
        case FindingKind.ENTITLEMENT_UNREACHABLE:
            row = Entitlement.objects.filter(tenant_id=tenant_id, pk=as_uuid(said["entitlement"])).first()
            why = "Its groups have no live member" if said["why"] == "empty" else "No group gives it any more"
            return [("Entitlement", _linked(row)), ("Why", why)]
        case FindingKind.OWNERLESS:
            owner = Identity.objects.filter(tenant_id=tenant_id, pk=as_uuid(said.get("owner", ""))).first()
            what: Any = said["what"]
            model: Any = {"token": ScimToken, "client": ScimClient, "identity": Identity}[what]
            row = model.objects.filter(tenant_id=tenant_id, pk=as_uuid(said[what])).first()
            named = _linked(row) if what == "identity" else (getattr(row, "name", "") or str(row or "—"))
            return [(OWNED[what], named), ("Former owner", _linked(owner) if owner else "Never had one")]
        case FindingKind.CONNECTION_STALE:
            pushed = said["last_push_at"]
            return [
                ("Last push", datetime.fromisoformat(pushed) if pushed else "Never"),
                ("Asked from", f"{said['days']} days on"),
            ]
        case FindingKind.LISTING_OVERDUE:
            last = said["last_complete"]
            return [
                ("Last complete listing", datetime.fromisoformat(last) if last else "Never"),
                ("Why the last one was refused", meaning(said["code"]) if said["code"] else "It did not end"),
            ]
        case FindingKind.PRIVILEGED_UNMAPPED | FindingKind.PLACEHOLDER_KEYS:
            return [("Attribute", said["attribute"]), *_carriers(finding)]
        case FindingKind.LEFT_OUT:
            run = ReconciliationRun.objects.filter(tenant_id=tenant_id, pk=as_uuid(said["run"])).first()
            return [("Left out of", _linked(run)), ("Items", said["items"])]
        case FindingKind.GROUPS_DIFFER:
            return [("Only logins bring", said["only_logins"]), ("Only SCIM has", said["only_scim"])]
        case FindingKind.DORMANT:
            return [("Asked from", f"{said['days']} days without a login on")]
        case FindingKind.HELD_KEEPS_GROUPS:
            return [("Groups that give something", said["groups"])]
        case FindingKind.ORPHAN_IDENTITY:
            return [("Why", ORPHANED.get(said["why"], said["why"]))]
    return []


OWNED = {"token": "SCIM token", "client": "OAuth client", "identity": "Identity"}
ORPHANED = {
    "no-account": "No account is left",
    "disabled": "Every connection that knows the person is disabled",
    "quiet": "No push, roster or login for three months",
}


def _linked(row: Any) -> Any:
    return link_to(row) if row is not None else "Gone"


def _carriers(finding: Finding) -> list[tuple[str, Any]]:
    """Who or what carries it, read now: the finding keeps ids only."""
    said, tenant_id = finding.evidence, finding.tenant_id
    if groups := said.get("groups"):
        rows: Any = DirectoryGroup.objects.filter(tenant_id=tenant_id, pk__in=groups)
    else:
        rows = Account.objects.filter(tenant_id=tenant_id, pk__in=said.get("accounts", ()))
    shown = format_html_join(", ", "{}", ((link_to(row),) for row in rows[:SHOWN_AT_MOST]))
    left = said["count"] - SHOWN_AT_MOST
    return [
        (
            "Groups" if groups else "Accounts",
            format_html("{}{}", shown, f" and {left} more" if left > 0 else ""),
        )
    ]


def _contradictions(finding: Finding) -> list[contradictions.Contradiction]:
    if finding.kind != FindingKind.ATTRIBUTE_CONFLICT or finding.identity is None:
        return []
    return contradictions.of_person(finding.identity, finding.evidence.get("attributes", ()))


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
        return "overdue", f"overdue for {timesince(due, at, depth=1)}"
    left = due - at
    words = f"in {left.days} days" if left.days > 1 else f"in {timeuntil(due, at, depth=1)}"
    return "soon" if left < timedelta(days=2) else "", words


class Every(Counted):
    """Whoever decides about all of them at once has to read how many they are."""

    most = 1_000_000


@admin.register(Finding)
class FindingPage(ManyFindings, TenantAdmin):
    list_display = ["what", "weight", "about", "connection", "age", "due", "owner_name", "state"]
    list_filter = [StatusFilter, "severity", DueFilter, OwnerFilter, AgeFilter, KindFilter, "connection"]
    list_select_related = ("connection", "account", "identity", "owner")
    actions_detail = ["assign", "postpone"]
    actions = [*ManyFindings.MANY]
    search_fields = ["account__user_name_key", "identity__user_name_key", "kind"]
    search_help_text = "userName of the account or the identity"
    change_form_template = "provisioning/admin/finding.html"
    paginator = Every

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
        sides = sides_of(finding)
        columns = columns_of(finding, sides)
        offered = remedies.foresee(finding, actor_of(request))
        names = {side.row.pk: str(side.row) for side in sides if side.is_identity}
        if finding.identity is not None:
            names[finding.identity.pk] = str(finding.identity)
        badge, when = due_of(finding)
        return {
            "due_badge": badge,
            "due_words": when,
            "sentence": meaning(finding.kind),
            "columns": columns,
            "comparison": comparison.rows(sides) if sides else [],
            "contradictions": _contradictions(finding),
            "scored": any(column.score for column in columns),
            "weighed": any(column.rules or column.vetoes for column in columns),
            "remedies": [
                {
                    "remedy": one.remedy,
                    "changes": [*words(one.decision, names), *moving(one.moves)],
                    "refused": one.decision is not None and one.decision.verdict is Verdict.REFUSED,
                }
                for one in offered
            ],
            "facts": _facts(finding),
            "about": _about(finding),
            "counted": _counted(finding),
            "evidence": pretty(finding.evidence) if finding.evidence else "",
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
            lead="The owner finds it by the filter 'Mine' of the list. Everybody who administers the organisation may "
            "still decide it.",
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
                due_at=data["due_at"] and end_of(data["due_at"]),
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
        try:
            outcome = remedies.carry_out(
                finding=finding,
                name=form.cleaned_data["remedy"],
                reason=form.cleaned_data["reason"],
                actor=actor_of(request),
                seen=form.cleaned_data["seen"],
            )
        except Invalid as refusal:
            messages.error(request, f"Nothing was decided. {refusal.message}")
            return back
        say(request, outcome)
        return back
