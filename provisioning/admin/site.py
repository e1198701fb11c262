"""The administrators' site: which pages there are, how one finds somebody, how one changes an own password.

Knows no rule of the domain; each page answers for its own model.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.contrib.admin import ModelAdmin
from django.contrib.auth import update_session_auth_hash
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, path, reverse
from unfold.dataclasses import SearchResult
from unfold.forms import AdminOwnPasswordChangeForm
from unfold.sites import UnfoldAdminSite

from provisioning.models import Finding
from provisioning.services import configuration, sessions

from . import guesses
from .base import TenantAdmin, actor_of, said, tenant_of, within_tenant

FOUND_AT_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One hit of the search over all pages; `state` is shown as a badge, `answer` says what an administrator asked."""

    title: str
    kind: str
    link: str
    icon: str
    state: str = ""
    good: bool = True
    answer: str = ""


class HubSite(UnfoldAdminSite):
    site_title = site_header = "Identity Hub"
    index_title = "Start"
    index_template = "provisioning/admin/start.html"
    login_template = "provisioning/admin/login.html"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        # A library's own admin page knows no tenant and writes past the services: it does not come in.
        if admin_class is None or not issubclass(admin_class, TenantAdmin):
            return
        super().register(model_or_iterable, admin_class, **options)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        urls: list[Any] = super().get_urls()
        # Django's "view on site" look-up takes any model and any id: it tells whether a row exists, in any tenant.
        return [
            path("find/", self.admin_view(self.find_view), name="find"),
            path("posture/", self.admin_view(self.posture_view), name="posture"),
            *(url for url in urls if getattr(url, "name", None) != "view_on_site"),
        ]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method != "POST":
            return super().login(request, extra_context)
        name = request.POST.get("username", "")
        if seconds := guesses.refused(request, name):
            return self._too_many(request, seconds)
        response = super().login(request, extra_context)
        # Who is signed in already and tries another name is not here: only a success is answered with a redirect.
        if request.user.is_authenticated and response.status_code == HTTPStatus.FOUND:
            sessions.note_local_sign_in(request)
            guesses.remember(response, name)
        else:
            guesses.failed(request)
        return response

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """By the people's page, which tells the IdP that the session has ended."""
        return HttpResponseRedirect(reverse("saml:sign-out"), preserve_request=True)

    def _too_many(self, request: HttpRequest, seconds: int) -> HttpResponse:
        """RFC 6585 4. It reads the same for a name that somebody has and for one that nobody has."""
        response = TemplateResponse(
            request,
            "provisioning/admin/too_many.html",
            {
                **self.each_context(request),
                "title": "Too many tries",
                "minutes": -(-seconds // 60),
                "again": request.get_full_path(),
            },
            status=HTTPStatus.TOO_MANY_REQUESTS,
        )
        response["Retry-After"] = str(seconds)
        response["Cache-Control"] = "no-store"
        return response

    def find(self, request: HttpRequest, key: str) -> list[Found]:
        """Asks every page that can find something by a key that an administrator typed."""
        key = key.replace("\x00", "").strip()[:200]
        if not key:
            return []
        found: list[Found] = []
        for page in self.pages():
            if (ask := getattr(page, "find", None)) is not None and page.has_view_permission(request):
                found += ask(request, key)
        return found

    def pages(self) -> list[ModelAdmin]:
        return list(self._registry.values())

    def find_view(self, request: HttpRequest) -> HttpResponse:
        """Why can somebody not sign in? One hit goes straight to its page."""
        key = request.GET.get("q", "")
        found = self.find(request, key)
        if len(found) == 1:
            return HttpResponseRedirect(found[0].link)
        return TemplateResponse(
            request,
            "provisioning/admin/find.html",
            {
                **self.each_context(request),
                "title": "Why can't they sign in?",
                "key": key.strip(),
                "found": found,
            },
        )

    def posture_view(self, request: HttpRequest) -> HttpResponse:
        """Of the own tenant; whoever sees every tenant chooses one."""
        tenant_id = tenant_of(request)
        if tenant_id is None:
            return HttpResponseRedirect(reverse("admin:provisioning_tenant_changelist"))
        return HttpResponseRedirect(reverse("admin:provisioning_tenant_posture", args=[tenant_id]))

    def search(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The search behind Ctrl+K. Unlike the theme's own it keeps no copy of people in the cache."""
        key = request.GET.get("s", "").strip()
        if not key:
            return HttpResponse()
        apps = self.get_app_list(request)
        results = [
            SearchResult(title=str(model["name"]), description="Page", link=model["admin_url"], icon="tag")
            for app in apps
            for model in app["models"]
            if key.lower() in str(model["name"]).lower()
        ]
        results += [
            SearchResult(title=hit.title, description=hit.answer or hit.kind, link=hit.link, icon=hit.icon)
            for hit in self.find(request, key)
        ]
        paginator = Paginator(results, max(len(results), 1))
        return TemplateResponse(
            request,
            "unfold/helpers/command_results.html",
            {
                "page_obj": paginator,
                "results": paginator.page(1),
                "page_counter": 0,
                "execution_time": 0,
                "command_show_history": False,
            },
            headers={"HX-Trigger": "search"},
        )

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """An own new password, through the service that records it. Who came by a connection has none."""
        user = request.user
        back = reverse("admin:index")
        if not user.local:
            return HttpResponseRedirect(back)
        form = AdminOwnPasswordChangeForm(user, said(request))
        if request.method == "POST" and form.is_valid():
            try:
                configuration.set_password(
                    identity=user, password=form.cleaned_data["new_password1"], actor=actor_of(request)
                )
            except configuration.Invalid as refusal:
                form.add_error("new_password1", refusal.message)
            else:
                update_session_auth_hash(request, user)
                return HttpResponseRedirect(reverse("admin:password_change_done"))
        return TemplateResponse(
            request,
            "provisioning/admin/ask.html",
            {
                **self.each_context(request),
                "title": "Change your password",
                "lead": "Your other sessions end with the old password.",
                "form": form,
                "submit": "Change it",
                "back": back,
            },
        )


# What the UNFOLD setting names.


def is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_superuser)


def shows_posture(request: HttpRequest) -> bool:
    return request.path.endswith("/posture/")


def shows_tenants(request: HttpRequest) -> bool:
    """A tenant's posture lies below its page, and is another item of the menu."""
    return request.path.startswith(reverse("admin:provisioning_tenant_changelist")) and not shows_posture(
        request
    )


def subheader(request: HttpRequest) -> str:
    if not request.user.is_authenticated:
        return ""
    tenant = request.user.tenant
    return str(tenant) if tenant else "Whole installation"


def open_findings(request: HttpRequest) -> str:
    rows = within_tenant(Finding.objects.filter(status=Finding.Status.OPEN), request, "tenant")
    number = rows.order_by().values("pk")[:100].count()
    return "99+" if number > 99 else str(number)


def style_sheet(request: HttpRequest) -> str:
    return static("provisioning/admin.css")


def icon(request: HttpRequest) -> str:
    return static("provisioning/icon.svg")


def script(request: HttpRequest) -> str:
    return static("provisioning/admin.js")
