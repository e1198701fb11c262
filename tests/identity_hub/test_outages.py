"""Services that go away, seen from outside: a real server of the hub, and a wire that is cut."""

import contextlib
import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from django.core.management import call_command
from django.db import connection

from identity_hub.core.clock import now
from provisioning.models import Account, OutboxMessage
from tests.identity_hub.gunicorn import gunicorn
from tests.saml_sp.idp import TestIdp, encode, key_pair, read_request
from tests.saml_sp.parties import make_connection, make_tenant

# The database itself is there all the time; only the server under test loses sight of it.
pytestmark = [pytest.mark.slow, pytest.mark.django_db]

IDP = TestIdp(entity_id="https://idp.example/metadata", keys=key_pair("corp"))


class Wire:
    """Carries bytes between a port of ours and the database, until it is cut."""

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int] | str) -> None:
        self.family, self.address = family, address
        self.ends: list[socket.socket] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    def connect(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.ends = [self.listener]
        threading.Thread(target=self._accept, args=[self.listener], daemon=True).start()

    def cut(self) -> None:
        for end in self.ends:
            # shutdown wakes the thread that waits on the socket; close alone would leave it waiting.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.socket(self.family)
            far.connect(self.address)
            self.ends += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=[source, target], daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                target.sendall(chunk)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def wire(db: None) -> Iterator[Wire]:
    known = connection.settings_dict
    host, port = known["HOST"], known["PORT"] or "5432"
    if host.startswith("/"):
        made = Wire(socket.AF_UNIX, f"{host}/.s.PGSQL.{port}")
    else:
        made = Wire(socket.AF_INET, (host or "127.0.0.1", int(port)))
    made.connect()
    yield made
    made.cut()


@pytest.fixture
def hub(wire: Wire, tmp_path: Path) -> Iterator[int]:
    """The port of a gunicorn that serves the hub, its database at the end of the wire, its Redis nowhere."""
    with gunicorn(tmp_path / "gunicorn.log", database_port=wire.port) as port:
        yield port


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes
    seconds: float


def _ask(
    port: int, path: str, headers: dict[str, str] | None = None, method: str = "GET", body: Any = None
) -> Answer:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    started = time.monotonic()
    try:
        link.request(method, path, body=json.dumps(body) if body else None, headers=headers or {})
        said = link.getresponse()
        content = said.read()
    finally:
        link.close()
    seconds = time.monotonic() - started
    return Answer(status=said.status, headers=said.headers, body=content, seconds=seconds)


_BEARER = {"Authorization": "Bearer hub_of-no-connection"}
_SESSION = {"Cookie": "hub_session=" + "a" * 32}

# What is asked, how each face answers with its database, and in which form without.
_FACES = [
    ("/scim/v2/Users", _BEARER, 401, "application/scim+json"),
    ("/api/v1/identities", _SESSION | {"Accept": "application/json"}, (401, 403), "application/json"),
    ("/me/", _SESSION | {"Accept": "text/html"}, 302, "text/html"),
    ("/admin/", _SESSION | {"Accept": "text/html"}, 302, "text/html"),
]


def test_every_face_says_503_while_the_database_is_away_and_answers_again_afterwards(
    hub: int, wire: Wire
) -> None:
    def statuses() -> dict[str, int]:
        return {path: _ask(hub, path, headers).status for path, headers, _, _ in _FACES}

    before = statuses()
    assert all(status < 500 for status in before.values()), before
    wire.cut()
    for path, headers, _, form in _FACES:
        answer = _ask(hub, path, headers)
        assert (path, answer.status) == (path, 503)
        assert answer.headers["Retry-After"]
        assert answer.headers["Content-Type"].startswith(form)
    assert _ask(hub, "/healthz").status == 200
    assert _ask(hub, "/readyz").status == 503
    wire.connect()
    assert statuses() == before, "the first request of every thread after the outage succeeds"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/scim/v2/Users", 401, id="a directory's request"),
        pytest.param("POST", f"/saml/{uuid4()}/acs", 404, id="an identity provider's answer"),
    ],
)
def test_the_first_request_of_every_thread_after_an_outage_is_answered(
    hub: int, wire: Wire, method: str, path: str, status: int
) -> None:
    def together(_: int) -> int:
        return _ask(hub, path, _BEARER, method).status

    with ThreadPoolExecutor(8) as people:
        assert set(people.map(together, range(8))) == {status}
        wire.cut()
        wire.connect()
        assert set(people.map(together, range(8))) == {status}


WHY = ("--reason", "As agreed")


def _said(name: str, *arguments: str) -> dict[str, str]:
    out = io.StringIO()
    call_command(name, *arguments, "--json", stdout=out)
    said: dict[str, str] = json.loads(out.getvalue())
    return said


@pytest.mark.django_db(transaction=True)
def test_without_redis_people_sign_in(hub: int) -> None:
    connection = make_connection(make_tenant("corp", "corp.example"), IDP)
    with requests.Session() as browser:
        here = f"http://127.0.0.1:{hub}"
        started = time.monotonic()
        sent = browser.get(f"{here}/saml/{connection.pk}/login", allow_redirects=False, timeout=20)
        answer = IDP.signed_assertion(IDP.facts(read_request(sent.headers["Location"]), now()))
        came = browser.post(
            f"{here}/saml/{connection.pk}/acs",
            data={"SAMLResponse": encode(answer)},
            allow_redirects=False,
            timeout=20,
        )
        assert (came.status_code, came.headers["Location"]) == (302, "/me/")
        me = browser.get(f"{here}/me/", headers={"Accept": "application/json"}, timeout=20)
        assert (me.status_code, me.json()["tenant"]) == (200, "corp")
        assert time.monotonic() - started < 10


@pytest.mark.django_db(transaction=True)
def test_a_login_that_meets_an_outage_works_when_its_answer_is_sent_again(hub: int, wire: Wire) -> None:
    """Nothing is lost: what could not be read was not consumed either."""
    connection = make_connection(make_tenant("corp", "corp.example"), IDP)
    with requests.Session() as browser:
        here = f"http://127.0.0.1:{hub}/saml/{connection.pk}"
        sent = browser.get(f"{here}/login", allow_redirects=False, timeout=20)
        answer = encode(IDP.signed_assertion(IDP.facts(read_request(sent.headers["Location"]), now())))

        def deliver() -> requests.Response:
            return browser.post(
                f"{here}/acs", data={"SAMLResponse": answer}, allow_redirects=False, timeout=20
            )

        wire.cut()
        during = deliver()
        assert during.status_code == 503
        assert during.headers["Content-Type"].startswith("text/html")
        assert "Traceback" not in during.text
        wire.connect()
        assert (deliver().status_code, Account.objects.count()) == (302, 1)


@pytest.mark.django_db(transaction=True)
def test_without_redis_a_push_is_answered_quickly_and_its_follow_up_work_is_on_record(hub: int) -> None:
    _said("create_tenant", "outage", "--name", "Outage", "--domain", "outage.example", *WHY)
    connection_id = _said("create_connection", "--tenant", "outage", "--name", "IdP", *WHY)["id"]
    token = _said("create_scim_token", "--connection", connection_id, *WHY)["token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
    person = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "ada@outage.example",
        "externalId": "ada",
    }
    disable = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "active", "value": False}],
    }
    created = _ask(hub, "/scim/v2/Users", headers, "POST", person)
    address = f"/scim/v2/Users/{json.loads(created.body)['id']}"
    disabled = _ask(hub, address, headers, "PATCH", disable)
    assert (created.status, disabled.status) == (201, 200)
    assert max(created.seconds, disabled.seconds) < 3
    assert OutboxMessage.objects.filter(done_at=None).exists()
