"""The page of sessions: who is signed in, on what, through which connection. One can be ended, or all of a person."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from identity_hub.core.client_address import network_within
from provisioning.models import OpenSession
from provisioning.selectors import people_search, sessions
from provisioning.services import people

from .base import TenantAdmin, actor_of, link_to, said, tenant_of
from .forms import ConfirmForm, ReasonForm
from .records import SourceFilter

_HANDLE = re.compile(r"[0-9a-f]{32}")


def facts_of(session: OpenSession) -> list[tuple[str, Any]]:
    """What a question about a session shows of it."""
    return [
        ("Device", session.device),
        ("Network", session.network or "unknown"),
        ("Since", session.created_at),
        ("Until", session.expire_date),
    ]


def end_one(session: OpenSession, request: HttpRequest, reason: str) -> str:
    """Ends it, and says so."""
    ended = people.end_open_session(session=session, reason=reason, actor=actor_of(request))
    return "The session has ended." if ended else "The session was over already."


class _NotOpen(Http404):
    """No session that this administrator may see is open under the handle."""


def not_open(site: admin.AdminSite, request: HttpRequest, *, back: str) -> HttpResponse:
    """For whoever presses twice, or on a page from before: it went as wanted, and nothing is left to do.

    Attack: a handle is tried, to learn whether another organisation has a session by it. What has ended, what is
    another's and what never was read alike.
    """
    page = {
        **site.each_context(request),
        "title": "No such session is open any more",
        "lead": "It has ended, or the address is incomplete. Nothing was changed now.",
        "form": ConfirmForm(),
        "back": back,
    }
    return TemplateResponse(request, "provisioning/admin/ask.html", page, status=404)


def _of_one(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A view of a session that may have ended since its address was shown."""

    @wraps(view)
    def answered(
        page: "OpenSessionPage", request: HttpRequest, *arguments: Any, **named: Any
    ) -> HttpResponse:
        try:
            return view(page, request, *arguments, **named)
        except _NotOpen:
            back = reverse("admin:provisioning_opensession_changelist")
            return not_open(page.admin_site, request, back=back)

    return answered


@admin.register(OpenSession)
class OpenSessionPage(TenantAdmin):
    list_display = [
        "person",
        "device",
        "connection",
        "network",
        "created_at",
        "seen_at",
        "expire_date",
        "end",
    ]
    list_display_links = ["person"]
    list_filter = [SourceFilter]
    list_select_related = ("identity",)
    more_lookups = frozenset({"identity_id"})
    search_fields = ["user_agent"]
    search_help_text = "Name, e-mail or userName of the person; browser or system; network address"
    actions = None
    actions_detail = ["end_this", "end_all"]
    fieldsets = [
        (None, {"fields": ["whose", ("device", "network"), "connection", "user_agent"]}),
        ("When", {"fields": [("created_at", "seen_at"), ("expire_date", "ends_unused_at")]}),
    ]
    readonly_fields = ["whose", "device", "connection"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OpenSession]:
        return sessions.with_connection(super().get_queryset(request))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> OpenSession:
        found = (
            self.get_queryset(request).filter(pk=object_id).first() if _HANDLE.fullmatch(object_id) else None
        )
        if found is None:
            raise _NotOpen
        return found

    @_of_one
    def changeform_view(self, *arguments: Any, **named: Any) -> HttpResponse:
        answer: HttpResponse = super().changeform_view(*arguments, **named)
        return answer

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OpenSession], search_term: str
    ) -> tuple[QuerySet[OpenSession], bool]:
        text = search_term.replace("\x00", "").strip()
        if not text:
            return queryset, False
        whom = people_search.ids(text, tenant_id=tenant_of(request))
        meant = Q(identity__in=whom) | Q(user_agent__icontains=text)
        if network := network_within(text):
            meant |= Q(network=network)
        return queryset.filter(meant), False

    @display(header=True, description="Person", ordering="identity__user_name_key")
    def person(self, session: OpenSession) -> list[str]:
        identity = session.identity
        return [str(identity), identity.user_name or identity.login_name or ""]

    @display(description="Person")
    def whose(self, session: OpenSession) -> str:
        return link_to(session.identity)

    @display(description="Device", ordering="user_agent")
    def device(self, session: OpenSession) -> str:
        return session.device

    @display(description="Connection", ordering="connection_name")
    def connection(self, session: OpenSession) -> str:
        return session.connection_name or "Administrator sign-in"  # type: ignore[attr-defined, no-any-return]

    @display(description="")
    def end(self, session: OpenSession) -> str:
        address = reverse("admin:provisioning_opensession_end_this", args=[session.pk])
        return format_html('<a class="hub-link" href="{}" aria-label="End: {}">End</a>', address, session)

    @_of_one
    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        session = self.get_object(request, object_id)
        audit = reverse("admin:provisioning_auditrecord_changelist")
        return HttpResponseRedirect(f"{audit}?identity_id={session.identity_id}")

    @action(description="End this session", url_path="end", icon="logout", permissions=["act"])
    @_of_one
    def end_this(self, request: HttpRequest, object_id: str) -> HttpResponse:
        session = self.get_object(request, object_id)
        return self.ask(
            request,
            session,
            ReasonForm(said(request)),
            title=f"End a session of {session.identity}",
            lead="Its next request asks to sign in again. Nothing stops the person from doing so.",
            submit="End it",
            facts=facts_of(session),
            back=reverse("admin:provisioning_opensession_changelist"),
            act=lambda data: end_one(session, request, data["reason"]),
        )

    @action(
        description="End all of this person",
        url_path="end-all",
        icon="logout",
        variant=ActionVariant.DANGER,
        permissions=["act"],
    )
    @_of_one
    def end_all(self, request: HttpRequest, object_id: str) -> HttpResponse:
        session = self.get_object(request, object_id)
        identity = session.identity

        def act(data: dict[str, Any]) -> str:
            people.end_sessions(identity=identity, reason=data["reason"], actor=actor_of(request))
            return "Every session has ended."

        return self.ask(
            request,
            session,
            ReasonForm(said(request)),
            title=f"End all sessions of {identity}",
            lead="The next request of each session asks to sign in again. Nothing stops the person from doing so.",
            submit="End them",
            danger=True,
            back=reverse("admin:provisioning_opensession_changelist"),
            act=act,
        )
