"""The calm page, where every refusal of this face ends: one sentence, a reference, a way on. And the way to the IdP."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from provisioning.models import Connection
from saml_sp.browser import DEFAULT_PATH, own_path
from saml_sp.client import Outgoing
from saml_sp.errors import message_for
from saml_sp.refusal import refuse
from saml_sp.sign_in import Ending, note


def refused(
    request: HttpRequest, connection: Connection | None, reason: str, **detail: object
) -> HttpResponse:
    """Notes the refusal in the login log and shows it."""
    return refused_page(request, connection, note(request, connection, refuse(reason, **detail)))


def refused_page(request: HttpRequest, connection: Connection | None, ending: Ending) -> HttpResponse:
    message = message_for(ending.reason)
    context = {
        "message": message,
        "reference": ending.reference,
        "connection": connection,
        "again": _again(ending.wanted),
    }
    response = render(request, "saml_sp/refused.html", context, status=message.status)
    response["Cache-Control"] = "no-store"
    return response


def not_signed_out(request: HttpRequest, ending: Ending, *, asked: bool = True) -> HttpResponse:
    """Where an IdP's sign-out was refused, or nobody `asked` for one: whoever reads that may go on to sign out here."""
    nowhere = ending.reason == "connection:unknown"
    page = {"reference": ending.reference, "asked": asked, "nowhere": nowhere}
    response = render(request, "saml_sp/not_signed_out.html", page, status=message_for(ending.reason).status)
    response["Cache-Control"] = "no-store"
    return response


def _again(wanted: str) -> str:
    """The sign-in page, from which she ends where she wanted to go."""
    address = reverse("saml:sign-in")
    # It was looked at when it was kept; a link of ours is not built from anything else.
    following = own_path(wanted)
    return address if following == DEFAULT_PATH else f"{address}?{urlencode({'next': following})}"


def carried(
    request: HttpRequest, connection: Connection, asked: Outgoing, *, signing_out: bool = False
) -> HttpResponse:
    """The browser's way to the IdP with a message of ours."""
    if asked.binding == "redirect":
        return HttpResponseRedirect(asked.url)
    page = {"asked": asked, "connection": connection, "signing_out": signing_out}
    return render(request, "saml_sp/continue.html", page)


def busy(request: HttpRequest, seconds: int) -> HttpResponse:
    """RFC 6585 4. Nothing is written down: that is what the limit is for."""
    response = refused_page(request, None, Ending(reason="saml:too-many", reference=""))
    response["Retry-After"] = str(seconds)
    return response
