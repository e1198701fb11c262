"""The four addresses of a connection: metadata, login, acs, logout. Knows HTTP; the protocol's rules are elsewhere."""

from dataclasses import replace
from typing import cast
from uuid import UUID

from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from identity_hub.core.client_address import address_of
from provisioning.models import Connection
from provisioning.selectors import connections
from saml_sp import browser, client, limits, logout, sign_in, trial
from saml_sp.client import Incoming, NotConfigured
from saml_sp.message import MAX_ENCODED
from saml_sp.refusal import Refused, refuse

from .pages import busy, carried, not_signed_out, refused, refused_page


def _active(connection_id: UUID) -> Connection | str:
    """The connection, or the reason why nobody signs in through it."""
    connection = connections.by_address(connection_id)
    if connection is None:
        return "connection:unknown"
    if connection.status == Connection.Status.FROZEN:
        return "connection:frozen"
    return connection if connection.status == Connection.Status.ACTIVE else "connection:not-active"


@require_safe
def metadata(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """Works from the first minute: the IdP is usually set up from it."""
    connection = connections.by_address(connection_id)
    if connection is None:
        return refused(request, None, "connection:unknown")
    response = HttpResponse(client.metadata(connection), content_type="application/samlmetadata+xml")
    response["Content-Disposition"] = 'inline; filename="identity-hub-metadata.xml"'
    return response


@never_cache
@require_safe
def login(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    if seconds := limits.start(address_of(request)):
        return busy(request, seconds)
    connection = _active(connection_id)
    if isinstance(connection, str):
        return refused(request, connections.by_address(connection_id), connection)
    # One value per browser, so that two tabs do not take each other's.
    binding = browser.binding_of(request) or browser.new_binding()
    try:
        asked = sign_in.begin(
            connection, binding=binding, next_path=browser.own_path(request.GET.get("next"))
        )
    except NotConfigured as error:
        return refused(request, connection, "connection:not-configured", **error.detail)
    response = carried(request, connection, asked)
    browser.remember(response, binding)
    return response


def _posted(request: HttpRequest, name: str) -> str:
    """A field of the form, "" where it has none. Raises Refused for a body that is too large, or no form."""
    try:
        # The form's encoding makes base64 a little longer.
        if (size := int(request.META.get("CONTENT_LENGTH") or 0)) > 2 * MAX_ENCODED:
            raise Refused(refuse("saml:message-too-large", size=size, limit=2 * MAX_ENCODED))
        values = request.POST.getlist(name)
    except RequestDataTooBig:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raise Refused(refuse("saml:message-too-large", size=f"more than {limit}", limit=limit)) from None
    except TooManyFieldsSent:
        limit = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
        told = {"what": "fields", "size": f"more than {limit}", "limit": limit}
        raise Refused(refuse("saml:message-too-large", **told)) from None
    # Also a charset in which nothing can be read, or that is none of text.
    except (BadRequest, MultiPartParserError, LookupError, ValueError):
        raise Refused(refuse("saml:malformed", what="form")) from None
    # Attack: a field given twice, of which a guard on the way looked at the other one.
    if len(values) > 1:
        raise Refused(refuse("saml:malformed", what="repeated field", name=name))
    return cast(str, values[0]) if values else ""


# The IdP's page posts here: it has no token of ours. The pending request and the browser binding stand for it.
@csrf_exempt
@never_cache
def acs(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    if request.method == "POST" and (tested := _tested(request, connection_id)):
        return tested
    connection = _active(connection_id)
    if isinstance(connection, str):
        return refused(request, connections.by_address(connection_id), connection)
    if request.method != "POST":
        response = refused(request, connection, "saml:method", expected="POST", found=request.method)
        response["Allow"] = "POST"
        return response
    try:
        encoded, relay_state = _posted(request, "SAMLResponse"), _posted(request, "RelayState")
    except Refused as error:
        return refused(request, connection, error.refusal.reason, **error.refusal.detail)
    if not encoded:
        return refused(request, connection, "saml:malformed", what="no SAMLResponse")
    try:
        ending = sign_in.finish(request, connection, encoded, relay_state)
    except NotConfigured as error:
        return refused(request, connection, "connection:not-configured", **error.detail)
    if not ending.path:
        if ending.reason == "saml:request-unknown" and trial.of_browser(request, connection_id):
            # It may answer a test that was begun before, in another tab; the login log keeps what is known.
            ending = replace(ending, reason="saml:test-over")
        return refused_page(request, connection, ending)
    response = HttpResponseRedirect(ending.path)
    browser.remember_choice(response, connection.pk)
    return response


def _tested(request: HttpRequest, connection_id: UUID) -> HttpResponse | None:
    """The way on from an answer to the test login that this browser carries; None for every other answer."""
    test = trial.of_browser(request, connection_id)
    if test is None:
        return None
    try:
        answered = trial.finish(test, _posted(request, "SAMLResponse"))
    except NotConfigured as error:
        return refused(request, test.connection, "connection:not-configured", **error.detail)
    except Refused as error:
        return refused(request, test.connection, error.refusal.reason, **error.refusal.detail)
    if answered:
        return HttpResponseRedirect(trial.result_of(test))
    if test.connection.status == Connection.Status.DRAFT:
        # Nobody else signs in through it: this answers a test that was begun before, in another tab.
        return refused(request, test.connection, "saml:test-over")
    return None


@csrf_exempt
@never_cache
def single_logout(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """The IdP says that a subject signed out, or answers that it did. Our own sign-out is /logout/."""
    connection = connections.by_address(connection_id)
    if connection is None:
        return not_signed_out(request, sign_in.note(request, None, refuse("connection:unknown")))
    try:
        incoming = _incoming(request)
    except Refused as error:
        return not_signed_out(request, sign_in.note(request, connection, error.refusal))
    if incoming is None and _ANSWERED in request.GET:
        return _after_answer(request, connection)
    if incoming is None:
        refusal = refuse("saml:malformed", what="no logout message")
        return not_signed_out(request, sign_in.note(request, connection, refusal), asked=False)
    try:
        if incoming.field == "SAMLResponse":
            if (test := trial.of_browser(request, connection_id)) and trial.finish_sign_out(test, incoming):
                return HttpResponseRedirect(trial.result_of(test))
            if incoming.binding == "post":
                # A form of another site brings no Lax cookie, so only the next request says who is signed in.
                return HttpResponseRedirect(f"{request.path}?{_ANSWERED}")
            return _after_answer(request, connection)
        ended = logout.obey(request, connection, incoming)
    except NotConfigured as error:
        refusal = refuse("connection:not-configured", **error.detail)
        ended = sign_in.note(request, connection, refusal)
    if isinstance(ended, sign_in.Ending):
        return not_signed_out(request, ended)
    if ended.answer is not None:
        return carried(request, connection, ended.answer, signing_out=True)
    return render(request, "saml_sp/signed_out.html", {"connection": connection})


_ANSWERED = "answered"


def _after_answer(request: HttpRequest, connection: Connection) -> HttpResponse:
    """The local session ended before the IdP was asked, so nothing depends on its answer, which nobody reads."""
    # Whoever is signed in here did not come from a sign-out: an old address, or a link that somebody else made.
    page = "still_signed_in.html" if request.user.is_authenticated else "signed_out.html"
    return render(request, f"saml_sp/{page}", {"connection": connection})


def _incoming(request: HttpRequest) -> Incoming | None:
    """Raises Refused."""
    for field in ("SAMLRequest", "SAMLResponse"):
        if value := request.GET.get(field, ""):
            query = request.META.get("QUERY_STRING", "")
            relay_state = request.GET.get("RelayState", "")
            return Incoming(
                field=field, binding="redirect", value=value, query=query, relay_state=relay_state
            )
        if request.method == "POST" and (value := _posted(request, field)):
            relay_state = _posted(request, "RelayState")
            return Incoming(field=field, binding="post", value=value, relay_state=relay_state)
    return None
