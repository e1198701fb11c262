"""The people's pages: sign in, my account, sign out. Knows no SAML but the address where it begins."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from provisioning.decision.keys import domain_of
from provisioning.decision.types import Actor
from provisioning.formats import Format, cleaned
from provisioning.models import Connection, Identity, Session
from provisioning.selectors import choices, connections, groups, sessions
from provisioning.services import people
from provisioning.services.invalid import Invalid
from provisioning.sessions import FACTS
from saml_sp.browser import choice_of, own_path
from saml_sp.browser import forget_choice as forget
from saml_sp.logout import take_leave, tell

from .pages import carried


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def login(request: HttpRequest) -> HttpResponse:
    """E-mail address -> domain -> connection. No table of people is asked, so nobody learns who has an account."""
    following = own_path(request.POST.get("next") or request.GET.get("next"))
    if request.method != "POST":
        if request.user.is_authenticated:
            return HttpResponseRedirect(following)
        return _sign_in_page(request, following)
    email = request.POST.get("email", "").strip()[:320]
    domain = domain_of(email)
    if not domain:
        problem = "Enter your whole e-mail address, for example name@company.com."
        return _sign_in_page(request, following, email=email, problem=problem, status=400)
    written = email.rpartition("@")[2]
    found = connections.by_domain(domain)
    if not found:
        problem = (
            f"No organisation signs in here with addresses ending in @{written}. Check the spelling, or ask your "
            "administrator for the right address."
        )
        return _sign_in_page(request, following, email=email, problem=problem, status=404)
    return _to_one_of(request, found, following, {"domain": written})


@never_cache
@require_safe
def tenant_login(request: HttpRequest, slug: str) -> HttpResponse:
    """A tenant's own address. It asks for no name, so it tells of no account; without a connection that takes logins a
    tenant reads like one that does not exist."""
    following = own_path(request.GET.get("next"))
    if request.user.is_authenticated:
        return HttpResponseRedirect(following)
    found = connections.by_tenant_address(slug)
    if not found:
        problem = (
            "No organisation signs in at this address. Check the spelling, or enter your e-mail address."
        )
        return _sign_in_page(request, following, problem=problem, status=404)
    return _to_one_of(request, found, following, {"tenant": found[0].tenant})


@require_POST
def forget_choice(request: HttpRequest) -> HttpResponse:
    following = own_path(request.POST.get("next"))
    response = HttpResponseRedirect(f"{reverse('saml:sign-in')}?{urlencode({'next': following})}")
    forget(response)
    return response


def _sign_in_page(
    request: HttpRequest, following: str, *, email: str = "", problem: str = "", status: int = 200
) -> HttpResponse:
    page: dict[str, Any] = {"next": following, "email": email, "problem": problem}
    choice = choice_of(request)
    if choice is not None and (last := connections.by_remembered(choice)):
        page |= {"last": last, "last_address": _start(last, following)}
    return render(request, "saml_sp/login.html", page, status=status)


def _to_one_of(
    request: HttpRequest, found: list[Connection], following: str, whose: dict[str, Any]
) -> HttpResponse:
    """The only way there is, or a page to choose; the one that this browser used last comes first."""
    if len(found) == 1:
        return HttpResponseRedirect(_start(found[0], following))
    last = choice_of(request)
    ordered = sorted(found, key=lambda connection: connection.pk != last)
    page = {
        **whose,
        "next": following,
        "last": last,
        "addresses": [(connection, _start(connection, following)) for connection in ordered],
    }
    return render(request, "saml_sp/choose.html", page)


def _start(connection: Connection, following: str) -> str:
    return f"{reverse('saml:login', args=[connection.pk])}?{urlencode({'next': following})}"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def logout(request: HttpRequest) -> HttpResponse:
    """Ends the local session whatever the IdP does, and then tells the IdP, where it wants to know.

    A GET only asks: a link in a mail must not sign anybody out.
    """
    if request.method != "POST":
        return render(request, "saml_sp/sign_out.html", {"person": request.user})
    farewell = take_leave(request)
    if farewell and (asked := tell(farewell)):
        return carried(request, farewell.connection, asked, signing_out=True)
    return render(request, "saml_sp/signed_out.html")


def _wants_json(request: HttpRequest) -> bool:
    preferred = request.get_preferred_type(["text/html", "application/json"])
    return preferred == "application/json"


@never_cache
@require_safe
def me(request: HttpRequest) -> HttpResponse:
    person = request.user
    if not isinstance(person, Identity) or not person.is_authenticated:
        if _wants_json(request):
            return JsonResponse({"detail": "Nobody is signed in."}, status=401)
        return HttpResponseRedirect(
            f"{reverse('saml:sign-in')}?{urlencode({'next': request.get_full_path()})}"
        )
    connection = _connection(request, person)
    group_names = (
        groups.of_identity(tenant_id=person.tenant_id, identity_id=person.pk) if person.tenant_id else []
    )
    if _wants_json(request):
        return JsonResponse(
            {
                "id": str(person.pk),
                "userName": person.user_name or person.login_name or "",
                "tenant": person.tenant.slug if person.tenant else None,
                "connection": {"id": str(connection.pk), "name": connection.name} if connection else None,
                "groups": group_names,
            }
        )
    return _account_page(request, person, connection=connection, groups=group_names)


def _account_page(request: HttpRequest, person: Identity, **page: Any) -> HttpResponse:
    """Times are told as the person's clock has them."""
    zone = cleaned(person.time_zone, Format.TIME_ZONE) or "UTC"
    page |= {
        "person": person,
        "sessions": sessions.of_identity(person),
        "current": _handle(request, person),
        "locales": choices.with_current(choices.locales(), person.locale),
        "time_zones": choices.time_zones(),
        "listed_zone": any(
            kept == person.time_zone for _, zones in choices.time_zones() for kept, _ in zones
        ),
        "zone": zone,
    }
    with timezone.override(ZoneInfo(zone)):
        return render(request, "saml_sp/me.html", page)


@never_cache
@require_POST
def set_preferences(request: HttpRequest) -> HttpResponse:
    """A person's own language and time zone, which no source changes from then on."""
    person = request.user
    if not isinstance(person, Identity) or not person.is_authenticated:
        return HttpResponseRedirect(reverse("saml:sign-in"))
    said = {name: request.POST.get(name, "").replace("\x00", "") for name in ("locale", "time_zone")}
    try:
        people.prefer(identity=person, **said)
    except Invalid:
        # What the page offers is never refused.
        return HttpResponse("Please choose from the lists.", status=400, content_type="text/plain")
    messages.success(request, "Kept.")
    return HttpResponseRedirect(f"{reverse('saml:me')}#yours")


def _connection(request: HttpRequest, person: Identity) -> Connection | None:
    """The connection that this session came by; None for a local sign-in."""
    wanted = request.session.get(FACTS, {}).get("connection_id")
    if not wanted:
        return None
    return Connection.objects.filter(tenant_id=person.tenant_id, pk=UUID(wanted)).first()


def _handle(request: HttpRequest, person: Identity) -> str:
    """What pages call the session that this request came with."""
    rows = Session.objects.filter(tenant_id=person.tenant_id, pk=request.session.session_key)
    return rows.values_list("handle", flat=True).first() or ""


@never_cache
@require_POST
def end_session(request: HttpRequest, handle: str) -> HttpResponse:
    """Ends one of the person's own sessions; a handle that is none of hers reads like one that is over."""
    person = request.user
    if not isinstance(person, Identity) or not person.is_authenticated:
        return HttpResponseRedirect(reverse("saml:sign-in"))
    session = Session.objects.filter(
        tenant_id=person.tenant_id, identity_id=person.pk, handle=handle.replace("\x00", "")
    ).first()
    if session is None:
        messages.info(request, "The session was over already.", extra_tags="sessions")
        return HttpResponseRedirect(f"{reverse('saml:me')}#sessions")
    if session.session_key == request.session.session_key:
        return logout(request)
    people.end_session(session=session, actor=Actor(kind="identity", id=str(person.pk)))
    return HttpResponseRedirect(reverse("saml:me"))


@never_cache
@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """Ends all of the person's own sessions but this one."""
    person = request.user
    if not isinstance(person, Identity) or not person.is_authenticated:
        return HttpResponseRedirect(reverse("saml:sign-in"))
    people.end_other_sessions(identity=person, session_key=request.session.session_key)
    return HttpResponseRedirect(reverse("saml:me"))


@require_safe
def start(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(reverse("saml:me" if request.user.is_authenticated else "saml:sign-in"))
