"""The demo IdP's process: `python -m identity_hub.demo.idp --port P`. Listens on loopback only.

People sign in to the hub through its login form; its push page sends real SCIM requests to the hub.
"""

import argparse
import json
import os
import signal
import socketserver
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "identity_hub.settings")

import django
import requests
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT

from identity_hub.demo import files, saml
from identity_hub.demo.dialects import Entra, Exchange, Unexpected, over_http
from identity_hub.demo.files import Directory, Person
from identity_hub.settings import HUB_DEMO_IDP_PORT

_MAX_BODY = 512 * 1024

View = Callable[[WSGIRequest, str], HttpResponse]


def _page(name: str, status: int = 200, **facts: Any) -> HttpResponse:
    response = HttpResponse(render_to_string(f"demo/{name}.html", facts), status=status)
    response["Cache-Control"] = "no-store"
    return response


def show_metadata(request: WSGIRequest, base: str) -> HttpResponse:
    return HttpResponse(saml.metadata(base), content_type="application/samlmetadata+xml")


def single_sign_on(request: WSGIRequest, base: str) -> HttpResponse:
    """Both bindings end in the login form. No session is kept: every login asks for the password."""
    fields = request.POST if request.method == "POST" else request.GET
    binding = BINDING_HTTP_POST if request.method == "POST" else BINDING_HTTP_REDIRECT
    message = saml.Message(
        binding=binding,
        saml_request=fields.get("SAMLRequest", ""),
        relay_state=fields.get("RelayState", ""),
        sig_alg=fields.get("SigAlg", ""),
        signature=fields.get("Signature", ""),
    )
    saml.wanted_by(base, message)
    return _page("login", message=message, people=Directory().people(), password=files.PASSWORD)


def log_in(request: WSGIRequest, base: str) -> HttpResponse:
    message = saml.Message(
        binding=request.POST.get("binding", ""),
        saml_request=request.POST.get("SAMLRequest", ""),
        relay_state=request.POST.get("RelayState", ""),
        sig_alg=request.POST.get("SigAlg", ""),
        signature=request.POST.get("Signature", ""),
    )
    person = Directory().find(request.POST.get("person", ""))
    if person is None or request.POST.get("password") != files.PASSWORD:
        facts = {"message": message, "people": Directory().people(), "password": files.PASSWORD}
        return _page("login", status=403, wrong=True, chosen=request.POST.get("person", ""), **facts)
    return _page("answer", answer=saml.answer(base, message, person), person=person)


def show_people(request: WSGIRequest, base: str) -> HttpResponse:
    return _people()


def add_person(request: WSGIRequest, base: str) -> HttpResponse:
    """Somebody new at the organisation; the hub hears of it only by a push or a login."""
    given, family = request.POST.get("given_name", "").strip(), request.POST.get("family_name", "").strip()
    if not given.isidentifier() or not family.isidentifier() or not (given + family).isascii():
        return _people(
            problem="A name here is made of letters and digits, and begins with a letter.", status=400
        )
    try:
        Directory().add(files.new_person(given, family, title="Engineer", department="Engineering"))
    except ValueError as error:
        return _people(problem=str(error), status=409)
    return HttpResponseRedirect("/")


def push(request: WSGIRequest, base: str) -> HttpResponse:
    """One button of the push page: a SCIM conversation with the hub, shown as it went."""
    person = Directory().find(request.POST.get("person", ""))
    action = _ACTIONS.get(request.POST.get("action", ""))
    if action is None or (person is None and action is not _push_group):
        return _people(problem="That person is not in the directory any more.", status=404)
    client = _client()
    problem = ""
    try:
        action(client, person)
    except Unexpected as error:
        problem = str(error)
    return _people(exchanges=client.exchanges, problem=problem, status=502 if problem else 200)


def _client() -> Entra:
    hub = files.hub()
    if hub is None:
        raise saml.BadRequest("This IdP knows no hub yet. Run `manage.py setup_demo` first.")
    return Entra(send=over_http(hub.scim, hub.tokens[files.IDP_CONNECTION], Entra.agent))


def _push_person(client: Entra, person: Person) -> None:
    client.push(person)


def _retitle(client: Entra, person: Person) -> None:
    title = "Senior engineer" if person.title != "Senior engineer" else "Engineer"
    Directory().change(person.object_id, title=title)
    client.push(Directory().find(person.object_id) or person)


def _on_account(what: Callable[[Entra, str], object]) -> Callable[[Entra, Person], None]:
    def act(client: Entra, person: Person) -> None:
        account = client.find("Users", "externalId", person.object_id)
        if account is None:
            raise Unexpected(f"The hub has no account of {person.name} by this key. Push it first.")
        what(client, account["id"])

    return act


def _push_group(client: Entra, person: Person | None) -> None:
    accounts = [
        client.find("Users", "externalId", known.object_id)
        for known in Directory().people()
        if known.department == files.ENGINEERING
    ]
    client.push_group(files.ENGINEERING, [account["id"] for account in accounts if account])


_ACTIONS: dict[str, Callable[..., None]] = {
    "push": _push_person,
    "retitle": _retitle,
    "disable": _on_account(lambda client, account_id: client.set_active(account_id, False)),
    "enable": _on_account(lambda client, account_id: client.set_active(account_id, True)),
    "delete": _on_account(lambda client, account_id: client.delete(account_id)),
    "group": _push_group,
}


def _people(*, problem: str = "", exchanges: Iterable[Exchange] = (), status: int = 200) -> HttpResponse:
    hub = files.hub()
    rows = []
    try:
        client = _client()
        for person in Directory().people():
            rows.append((person, client.find("Users", "externalId", person.object_id)))
    except (saml.BadRequest, Unexpected, requests.RequestException) as error:
        problem = problem or f"The hub cannot be asked: {error}"
        rows = [(person, None) for person in Directory().people()]
    shown = [
        {
            "line": f"{one.method} /scim/v2{one.path}",
            "body": json.dumps(one.body, indent=2) if one.body else "",
            "status": one.status,
            "answer": json.dumps(one.answer, indent=2) if one.answer else "",
        }
        for one in exchanges
    ]
    return _page("people", status=status, rows=rows, hub=hub, problem=problem, exchanges=shown)


_VIEWS: dict[tuple[str, str], View] = {
    ("GET", "/"): show_people,
    ("GET", "/metadata"): show_metadata,
    ("GET", "/sso"): single_sign_on,
    ("POST", "/sso"): single_sign_on,
    ("POST", "/login"): log_in,
    ("POST", "/people"): add_person,
    ("POST", "/push"): push,
}


def _is_foreign(request: WSGIRequest) -> bool:
    """Whether a page of another site sent this: only a sign-in request may come from elsewhere."""
    # Attack: a page anywhere on the web posts to http://localhost:8001/push in the visitor's browser; or a
    # name of the attacker's that now resolves to 127.0.0.1 reads the answers (DNS rebinding).
    if urlsplit(f"//{request.META.get('HTTP_HOST', '')}").hostname not in ("localhost", "127.0.0.1", "::1"):
        return True
    origin = request.headers.get("Origin")
    here = f"http://{request.META['HTTP_HOST']}"
    return request.method == "POST" and request.path != "/sso" and origin not in (None, here)


def _respond(request: WSGIRequest, base: str) -> HttpResponse:
    if _is_foreign(request):
        return _page("problem", status=403, problem="This request came from another site.")
    if int(request.META.get("CONTENT_LENGTH") or 0) > _MAX_BODY:
        return _page("problem", status=413, problem="This request is too large.")
    view = _VIEWS.get((request.method or "", request.path))
    if view is None:
        return _page("problem", status=404, problem="There is nothing at this address.")
    try:
        return view(request, base)
    except saml.BadRequest as error:
        return _page("problem", status=400, problem=str(error))


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        # Without the query: it carries the whole sign-in request.
        self.log_message("%s %s %s", self.command, urlsplit(self.path).path, code)


def _application(base: str) -> Callable[..., Iterable[bytes]]:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response = _respond(WSGIRequest(environ), base)
        start_response(f"{response.status_code} {response.reason_phrase}", [*response.items()])
        return response

    return application


def main() -> int:
    files.refuse_production()
    parser = argparse.ArgumentParser(prog="python -m identity_hub.demo.idp", description=__doc__)
    parser.add_argument("--port", type=int, default=HUB_DEMO_IDP_PORT, help="default: %(default)s")
    arguments = parser.parse_args()
    django.setup()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _Server(("127.0.0.1", arguments.port), _Handler) as server:
        base = f"http://localhost:{server.server_port}"
        server.set_app(_application(base))
        sys.stderr.write(f"The demo IdP answers at {base}\n")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
