"""The pages about people: who may sign in, who may not, why, since when and by whom."""

from typing import Any

from django.contrib import admin
from django.db.models import Exists, Max, OuterRef, Prefetch, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from provisioning.decision.types import HoldKind
from provisioning.models import (
    Account,
    DirectoryGroup,
    Entitlement,
    EntitlementMapping,
    Finding,
    Hold,
    Identity,
    Membership,
    OpenSession,
)
from provisioning.selectors import merges, overrides, people_search, request_log, sessions, story, timeline
from provisioning.selectors.groups import brought_by
from provisioning.services import people

from .base import TenantAdmin, actor_of, said, tenant_of
from .forms import HoldForm, LiftForm, ReasonForm
from .merging import MergingActs
from .overriding import OverridingActs
from .requests import told
from .sessions import end_one, facts_of, not_open
from .site import FOUND_AT_MOST, Found
from .states import state_of
from .story import SHOWN_BESIDE, StoryPage, shown

__all__ = ["IdentityPage", "state_of"]

EVENTS_READ = 100
"""So far back the last refused login is looked for."""


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        kinds = [(f"held-{kind.value}", f"Held: {timeline.HOLD_NAMES[kind.value]}") for kind in HoldKind]
        return [
            ("enabled", "Enabled"),
            ("held", "Held"),
            *kinds,
            ("gone", "No live account, not held"),
            ("deleted", "No live account, held or not"),
            ("merged", "Merged into another one"),
            ("unconfirmed", "Unconfirmed"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Identity]) -> QuerySet[Identity]:
        match self.value():
            case "enabled":
                return queryset.filter(enabled=True)
            case "held":
                return queryset.filter(held=True)
            case "gone":
                return queryset.filter(held=False, enabled=False, merged_into__isnull=True)
            case "deleted":
                return queryset.filter(~Exists(_live_accounts()), local=False, merged_into__isnull=True)
            case "merged":
                return queryset.filter(merged_into__isnull=False)
            case "unconfirmed":
                return queryset.filter(Exists(_live_accounts().filter(confirmed_at__isnull=True)))
            case str(kind) if kind.startswith("held-"):
                return queryset.filter(
                    Exists(
                        Hold.objects.filter(
                            tenant=OuterRef("tenant"),
                            identity=OuterRef("pk"),
                            kind=kind.removeprefix("held-"),
                        )
                    )
                )
        return queryset


def _live_accounts() -> QuerySet[Account]:
    return Account.objects.filter(tenant=OuterRef("tenant"), identity=OuterRef("pk"), deleted_at__isnull=True)


@admin.register(Identity)
class IdentityPage(MergingActs, OverridingActs, StoryPage, TenantAdmin):
    list_display = ["person", "state", "kind", "sources", "last_login"]
    list_filter = [StateFilter, "kind", "local"]
    more_lookups = frozenset({"accounts__connection__id__exact"})
    search_fields = ["user_name"]
    search_help_text = "Name, e-mail, userName, former name, externalId, id, or a request id"
    audit_column = "identity_id"
    change_form_template = "provisioning/admin/identity.html"
    actions_detail = [
        "place_hold",
        "lift_hold",
        "end_sessions",
        {
            "title": "More",
            "icon": "more_horiz",
            "items": ["override", *MergingActs.MERGING, "keep_from_runs", "leave_to_runs"],
        },
    ]
    ordering = ["-id"]

    # A local identity without tenant (an installation superuser) is shown to superusers only: base class.

    def get_queryset(self, request: HttpRequest) -> QuerySet[Identity]:
        # Aggregated where it stands: one look-up by index for each row of a page, none for the count.
        logins = (
            Account.objects.filter(tenant=OuterRef("tenant"), identity=OuterRef("pk"))
            .order_by()
            .values("identity")
            .annotate(latest=Max("last_login_at"))
            .values("latest")
        )
        live = Account.objects.filter(deleted_at__isnull=True).select_related("connection")
        return (
            super()
            .get_queryset(request)
            .with_state()  # type: ignore[attr-defined, no-any-return]
            .annotate(latest_login=Subquery(logins))
            .prefetch_related("holds", Prefetch("accounts", queryset=live, to_attr="live_accounts"))
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Identity], search_term: str
    ) -> tuple[QuerySet[Identity], bool]:
        return people_search.matching(queryset, search_term, tenant_id=tenant_of(request)), False

    @display(header=True, description="Person", ordering="user_name_key")
    def person(self, identity: Identity) -> list[str]:
        return [str(identity), identity.user_name or identity.login_name or ""]

    @display(
        description="State",
        label={"enabled": "success", "held": "danger", "gone": "warning", "merged": "info"},
    )
    def state(self, identity: Identity) -> tuple[str, str]:
        return state_of(identity)

    @display(description="Sources")
    def sources(self, identity: Identity) -> str:
        names = [account.connection.name for account in identity.live_accounts]  # type: ignore[attr-defined]
        if identity.break_glass:
            names.append("Break-glass")
        elif identity.local:
            names.append("Local")
        return ", ".join(dict.fromkeys(names)) or "—"

    @display(description="Last login", ordering="latest_login")
    def last_login(self, identity: Identity) -> Any:
        return identity.latest_login or "Never"  # type: ignore[attr-defined]

    def find(self, request: HttpRequest, key: str) -> list[Found]:
        rows, _ = self.get_search_results(request, self.get_queryset(request), key)
        found = []
        for identity in rows[:FOUND_AT_MOST]:
            badge, words = state_of(identity)
            found.append(
                Found(
                    title=str(identity),
                    kind=identity.email or identity.user_name or "Identity",
                    link=self.address_of(identity),
                    icon="badge",
                    state=words,
                    good=badge == "enabled",
                    answer=f"{words} · {identity.email or identity.user_name}",
                )
            )
        return found

    def beside(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        identity: Identity = self.get_object(request, object_id)
        events = timeline.of_identity(identity, limit=EVENTS_READ)
        told_of = story.page(identity, limit=SHOWN_BESIDE)
        tenant_id = identity.tenant_id
        accounts = list(
            Account.objects.filter(tenant_id=tenant_id, identity=identity)
            .select_related("connection")
            .order_by("deleted_at", "connection__precedence")
        )
        groups = list(
            DirectoryGroup.objects.filter(
                tenant_id=tenant_id,
                pk__in=Membership.objects.filter(
                    tenant_id=tenant_id,
                    account__identity=identity,
                    account__deleted_at__isnull=True,
                ).values("group_id"),
            )
            .select_related("connection")
            .prefetch_related(
                Prefetch(
                    "mappings",
                    queryset=EntitlementMapping.objects.select_related("entitlement"),
                    to_attr="gives",
                )
            )
            .order_by("display_name")
        )
        findings = list(
            Finding.objects.filter(
                tenant_id=tenant_id, identity=identity, status=Finding.Status.OPEN
            ).order_by("-opened_at")[:20]
        )
        for finding in findings:
            finding.sentence = timeline.meaning(finding.kind)
        overridden = overrides.shown(identity, [row for row in accounts if row.deleted_at is None])
        badge, words = state_of(identity)
        return {
            "badge": badge,
            "state": words,
            "answer": timeline.answer(identity, events),
            "merges": merges.of_identity(identity),
            "entries": shown(told_of),
            "older": told_of.older is not None,
            "accounts": accounts,
            "overrides": overridden,
            "overridden": {one.label for one in overridden},
            "groups": groups,
            "brought": brought_by(identity),
            "entitlements": list(Entitlement.objects.of_identity(identity)),
            "sessions": sessions.of_identity(identity),
            "aliases": list(identity.aliases.order_by("-since")[:50]),
            "findings": findings,
            "requests": told(request_log.requests_about(identity)),
            "facts": [
                (label, value)
                for label, value in (
                    ("userName", identity.user_name),
                    ("E-mail", identity.email),
                    ("Display name", identity.display_name),
                    ("Given name", identity.given_name),
                    ("Family name", identity.family_name),
                    ("Title", identity.title),
                    ("Department", identity.department),
                    ("HR number", identity.hr_number),
                    ("Locale", identity.locale),
                    ("Time zone", identity.time_zone),
                    ("Sign-in name", identity.login_name),
                    ("Kind", _kind(identity)),
                    ("Protected from runs", identity.kept_from_runs_why),
                    ("Known since", identity.created_at),
                )
                if value
            ],
        }

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only what can be done now: nobody is offered to lift a hold that is not there."""
        offered = super().get_actions_detail(request, object_id)
        identity = self.get_object(request, str(object_id))
        if identity.tenant_id is None:
            return []
        lacking = {"keep_from_runs" if identity.kept_from_runs else "leave_to_runs"}
        if not identity.holds.all():
            lacking.add("lift_hold")
        lacking |= set(self.MERGING) - self.merging_acts(identity)
        if identity.merged_into_id is not None:
            lacking |= {
                "place_hold",
                "lift_hold",
                "end_sessions",
                "override",
                "keep_from_runs",
                "leave_to_runs",
            }
        return [act for act in offered if act.path.replace("-", "_") not in lacking]

    def _person(self, request: HttpRequest, object_id: str) -> Identity:
        identity: Identity = self.get_object(request, object_id)
        if identity.tenant_id is None:
            raise Http404  # a superuser is nobody's to hold here
        return identity

    @action(
        description="Place a hold",
        url_path="place-hold",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["act"],
    )
    def place_hold(self, request: HttpRequest, object_id: str) -> HttpResponse:
        identity = self._person(request, object_id)
        return self.ask(
            request,
            identity,
            HoldForm(said(request)),
            title=f"Place a hold on {identity}",
            lead="Every session ends at its next request, and no sign-in is admitted until an administrator lifts "
            "the hold. Accounts, links and groups stay as they are.",
            submit="Place the hold",
            danger=True,
            act=lambda data: people.place_hold(
                identity=identity, kind=HoldKind(data["kind"]), reason=data["reason"], actor=actor_of(request)
            ),
        )

    @action(description="Lift a hold", url_path="lift-hold", icon="lock_open", permissions=["act"])
    def lift_hold(self, request: HttpRequest, object_id: str) -> HttpResponse:
        identity = self._person(request, object_id)
        kinds = [
            (kind, timeline.HOLD_KINDS.get(kind, kind))
            for kind in sorted({hold.kind for hold in identity.holds.all()})
        ]
        chosen = request.GET.get("kind", "")
        return self.ask(
            request,
            identity,
            LiftForm(said(request), kinds=kinds, initial={"kind": chosen}),
            title=f"Lift a hold of {identity}",
            lead="The person may sign in again when no other hold is left and a live account exists. If the "
            "directory still says that the account is off, consider switching it on there instead.",
            submit="Lift the hold",
            act=lambda data: people.lift_hold(
                identity=identity, kind=HoldKind(data["kind"]), reason=data["reason"], actor=actor_of(request)
            ),
        )

    @action(description="End all sessions", url_path="end-sessions", icon="logout", permissions=["act"])
    def end_sessions(self, request: HttpRequest, object_id: str) -> HttpResponse:
        identity = self._person(request, object_id)

        def act(data: dict[str, Any]) -> str:
            people.end_sessions(identity=identity, reason=data["reason"], actor=actor_of(request))
            return "Every session has ended."

        return self.ask(
            request,
            identity,
            ReasonForm(said(request)),
            title=f"End all sessions of {identity}",
            lead="The next request of each session asks to sign in again. Nothing stops the person from doing so.",
            submit="End them",
            act=act,
        )

    @action(
        description="Protect from runs",
        url_path="keep-from-runs",
        icon="shield_person",
        permissions=["act"],
    )
    def keep_from_runs(self, request: HttpRequest, object_id: str) -> HttpResponse:
        identity = self._person(request, object_id)

        def act(data: dict[str, Any]) -> str:
            people.keep_from_runs(identity=identity, reason=data["reason"], actor=actor_of(request))
            return "No run holds this person from now on; runs report it instead."

        return self.ask(
            request,
            identity,
            ReasonForm(said(request)),
            title=f"Protect {identity} from runs",
            lead="No reconciliation run takes this person's access away; it reports instead that it would have. SCIM "
            "and administrators still can.",
            submit="Protect",
            act=act,
        )

    @action(
        description="Leave to runs again",
        url_path="leave-to-runs",
        icon="remove_moderator",
        permissions=["act"],
    )
    def leave_to_runs(self, request: HttpRequest, object_id: str) -> HttpResponse:
        identity = self._person(request, object_id)

        def act(data: dict[str, Any]) -> str:
            people.leave_to_runs(identity=identity, reason=data["reason"], actor=actor_of(request))
            return "Runs may hold this person again."

        return self.ask(
            request,
            identity,
            ReasonForm(said(request)),
            title=f"Leave {identity} to runs again",
            lead="Runs may take this person's access away as they may anybody's.",
            submit="End the protection",
            facts=[("Protected because", identity.kept_from_runs_why)] if identity.kept_from_runs else [],
            act=act,
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.end_session_view)
        return [
            path(
                "<path:object_id>/timeline/",
                self.admin_site.admin_view(self.timeline_view),
                name="provisioning_identity_timeline",
            ),
            path(
                "<path:object_id>/link-account/",
                self.admin_site.admin_view(self.link_account_view),
                name="provisioning_identity_link_account",
            ),
            path(
                "<path:object_id>/end-override/<str:attribute>/",
                self.admin_site.admin_view(self.end_override_view),
                name="provisioning_identity_end_override",
            ),
            path(
                "<path:object_id>/end-session/<str:handle>/",
                view,
                name="provisioning_identity_end_session",
            ),
            *super().get_urls(),
        ]

    def end_session_view(self, request: HttpRequest, object_id: str, handle: str) -> HttpResponse:
        identity = self._person(request, object_id)
        session = OpenSession.objects.filter(
            tenant_id=identity.tenant_id, identity=identity, pk=handle.replace("\x00", "")
        ).first()
        if session is None:
            return not_open(self.admin_site, request, back=self.address_of(identity))
        return self.ask(
            request,
            identity,
            ReasonForm(said(request)),
            title=f"End one session of {identity}",
            lead="Its next request asks to sign in again. Nothing stops the person from doing so.",
            submit="End it",
            facts=facts_of(session),
            act=lambda data: end_one(session, request, data["reason"]),
        )


def _kind(identity: Identity) -> str:
    kind = identity.get_kind_display()
    if identity.break_glass:
        return f"{kind}, break-glass"
    return f"{kind}, local" if identity.local else kind
