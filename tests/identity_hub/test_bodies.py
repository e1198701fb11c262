"""How bodies come and go through a real gunicorn: whole, in chunks, broken, or not at all."""

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.models import Account
from scim.bulk import MAX_PAYLOAD
from scim.oauth import FORM
from scim.requests import MAX_BODY
from tests.identity_hub.gunicorn import gunicorn
from tests.scim.clients import USER_URN, Idp, an_idp

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ADA = json.dumps({"schemas": [USER_URN], "userName": "ada"}).encode()


class Hub:
    """A gunicorn that serves the hub on this test's database."""

    def __init__(self, port: int, idp: Idp, log: Path) -> None:
        self.port, self.idp, self.log = port, idp, log

    def ask(
        self,
        method: str,
        path: str,
        chunks: list[bytes] | None = None,
        content_type: str = "application/scim+json",
    ) -> tuple[int, bytes]:
        """(status, body). The chunks are sent as such, each behind its size."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Content-Type": content_type}
        if content_type != FORM:
            headers["Authorization"] = f"Bearer {self.idp.token}"
        try:
            if chunks is None:
                link.request(method, path, headers=headers)
            else:
                headers["Transfer-Encoding"] = "chunked"
                link.request(method, path, body=iter(chunks), headers=headers, encode_chunked=True)
            said = link.getresponse()
            return said.status, said.read()
        finally:
            link.close()

    def send_raw(self, body: bytes) -> int:
        """The status of a POST whose chunked body is exactly these bytes, after which nothing more comes."""
        head = (
            "POST /scim/v2/Users HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
            f"Content-Type: application/scim+json\r\nAuthorization: Bearer {self.idp.token}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as link:
            link.sendall(head.encode() + body)
            link.shutdown(socket.SHUT_WR)
            return int(link.makefile("rb").readline().split()[1])


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    log = tmp_path / "gunicorn.log"
    with gunicorn(log) as port:
        yield Hub(port, an_idp("acme"), log)


def test_a_body_in_chunks_is_a_body(hub: Hub) -> None:
    """RFC 9112 7.1. .NET's PostAsJsonAsync, and clients of Java and Node that stream, send so."""
    status, body = hub.ask("POST", "/scim/v2/Users", [ADA[:10], ADA[10:11], ADA[11:]])
    assert (status, json.loads(body)["userName"]) == (201, "ada")

    path = f"/scim/v2/Users/{json.loads(body)['id']}"
    change = {"Operations": [{"op": "replace", "path": "displayName", "value": "Ada"}]}
    status, body = hub.ask("PATCH", path, [json.dumps(change).encode()])
    assert (status, json.loads(body)["displayName"]) == (200, "Ada")

    assert hub.ask("POST", "/scim/v2/Users", [])[0] == 400, "an empty one is still no JSON"
    assert hub.ask("POST", "/scim/v2/Users")[0] == 400, "and so is none at all, at once"


def test_a_form_in_chunks_is_a_form(hub: Hub) -> None:
    def asked(*chunks: bytes) -> tuple[int, str]:
        status, body = hub.ask("POST", "/scim/oauth/token", list(chunks), content_type=FORM)
        return status, json.loads(body)["error"]

    assert asked(b"grant_type=client_", b"credentials&client_id=x") == (401, "invalid_client")
    assert asked(b"a=" * 4096, b"too long") == (400, "invalid_request")


def test_a_body_in_chunks_has_the_limit_of_any_other(hub: Hub) -> None:
    fits = [ADA, b" " * (MAX_BODY - len(ADA))]
    assert hub.ask("POST", "/scim/v2/Users", fits)[0] == 201
    status, body = hub.ask("POST", "/scim/v2/Users", [*fits, b" "])
    assert (status, json.loads(body)["status"]) == (413, "413")
    assert hub.ask("POST", "/scim/v2/Bulk", [*fits, b" "])[0] == 400, "Bulk has its own: this is only no Bulk"
    assert hub.ask("POST", "/scim/v2/Bulk", [b" " * MAX_PAYLOAD, b" "])[0] == 413
    assert Account.objects.count() == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n" + ADA,
        b"5\r\n{\r\n",
        b"%x\r\n%s" % (len(ADA), ADA),
        b"%x\r\n%sxx0\r\n\r\n" % (len(ADA), ADA),
    ],
    ids=["no size", "it ends within a chunk", "it ends without a last chunk", "a chunk longer than its size"],
)
def test_chunks_that_are_none_are_refused(hub: Hub, raw: bytes) -> None:
    assert hub.send_raw(raw) == 400
    assert not Account.objects.exists()


@pytest.mark.parametrize("path", ["Users", "ServiceProviderConfig", "Schemas", "Users/nobody", "nothing"])
def test_head_is_get_without_the_content(hub: Hub, path: str) -> None:
    """RFC 9110 9.3.2. gunicorn warns of every view that leaves it to cut the content off."""
    link = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=20)
    headers = {"Authorization": f"Bearer {hub.idp.token}"}
    link.request("GET", f"/scim/v2/{path}", headers=headers)
    got = link.getresponse()
    content = got.read()
    link.request("HEAD", f"/scim/v2/{path}", headers=headers)
    head = link.getresponse()
    assert head.read() == b""
    assert (head.status, head.headers["Content-Type"]) == (got.status, got.headers["Content-Type"])
    assert head.headers["Content-Length"] == str(len(content))
    link.close()
    assert "no-body response" not in hub.log.read_text()
