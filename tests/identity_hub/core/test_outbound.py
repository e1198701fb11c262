"""The way out: what it fetches, and what it will not be talked into."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any

import pytest

from identity_hub.core import outbound


@contextmanager
def server(
    answer: Callable[[BaseHTTPRequestHandler], None], tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_POST = do_GET

        def log_message(self, *args: Any) -> None:
            return

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        listening.socket = tls.wrap_socket(listening.socket, server_side=True)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{listening.server_port}/"
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


def say(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_a_document_is_fetched_through_a_redirect() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/":
            say(handler, 302, Location="/metadata?x=1")
        else:
            say(handler, 200, b"<xml/>")

    with server(answer) as url:
        document = outbound.fetch(url)
    assert (document.url, document.body) == (f"{url}metadata?x=1", b"<xml/>")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(lambda h: say(h, 404), "status 404", id="an error of the server is an error"),
        pytest.param(lambda h: say(h, 200, b"x" * 2000), "larger than 1 KiB", id="too much is refused"),
        pytest.param(lambda h: say(h, 302, Location="/"), "redirects", id="a redirect loop ends"),
        pytest.param(
            lambda h: say(h, 302, Location="file:///etc/passwd"),
            "must begin with https",
            id="a redirect to another scheme is refused",
        ),
    ],
)
def test_a_bad_answer_is_refused(answer: Callable[[BaseHTTPRequestHandler], None], said: str) -> None:
    with server(answer) as url, pytest.raises(outbound.Refused, match=said):
        outbound.fetch(url, max_bytes=1024)


ONE_VERSION = {"ETag": '"v1"', "Last-Modified": "Mon, 02 Nov 2026 10:00:00 GMT"}


def test_a_document_that_is_known_is_not_sent_again() -> None:
    asked: list[tuple[str | None, str | None]] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append((handler.headers["If-None-Match"], handler.headers["If-Modified-Since"]))
        known = handler.headers["If-None-Match"] == ONE_VERSION["ETag"]
        say(handler, 304 if known else 200, b"" if known else b"<xml/>", **ONE_VERSION)

    with server(answer) as url:
        first = outbound.fetch_newer(url, outbound.Version())
        assert first is not None
        assert (first.body, first.version) == (
            b"<xml/>",
            outbound.Version(etag=ONE_VERSION["ETag"], last_modified=ONE_VERSION["Last-Modified"]),
        )
        assert outbound.fetch_newer(url, first.version) is None
    assert asked == [(None, None), tuple(ONE_VERSION.values())]


def test_a_server_that_calls_unasked_a_document_known_is_refused() -> None:
    with server(lambda h: say(h, 304)) as url, pytest.raises(outbound.Refused, match="status 304"):
        outbound.fetch(url)


@pytest.mark.parametrize("etag", ["x" * 1000, "\u00fc"], ids=["endless", "no ASCII"])
def test_a_version_of_no_sane_form_is_none(etag: str) -> None:
    with server(lambda h: say(h, 200, b"<xml/>", ETag=etag)) as url:
        assert outbound.fetch(url).version == outbound.Version()


def test_a_server_that_trickles_is_left_at_the_deadline() -> None:
    gone = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not gone.wait(0.05):
            try:
                handler.wfile.write(b"x")
            except OSError:
                return

    with server(answer) as url:
        started = monotonic()
        with pytest.raises(outbound.Refused):
            outbound.fetch(url, seconds=0.5)
        gone.set()
    assert monotonic() - started < 3


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://",
        "https://user@example.org/",
        "https://example.org:x/",
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://2130706433/",
    ],
)
def test_production_goes_nowhere_inside(url: str) -> None:
    with pytest.raises(outbound.Refused):
        outbound.fetch(url, allow_private=False, seconds=2)


def test_one_inner_address_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolver(host: str, port: int, **_: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("93.184.216.34", "10.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with pytest.raises(outbound.Refused, match="private"):
        outbound.fetch("https://idp.example.org/", allow_private=False)


def test_a_call_gets_whatever_the_server_says() -> None:
    asked: list[tuple[str, str, str | None, bytes]] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"] or 0))
        asked.append((handler.command, handler.path, handler.headers["Authorization"], body))
        say(handler, 429 if handler.command == "GET" else 200, b"busy", **{"Retry-After": "7"})

    with server(answer) as url:
        headers = {"Authorization": "Bearer x"}
        refusal = outbound.ask(outbound.Call(url=f"{url}Users?count=1", headers=headers))
        answered = outbound.ask(outbound.Call(url=f"{url}token", method="POST", body=b"a=b"))
    assert (refusal.status, refusal.headers["retry-after"], refusal.body) == (429, "7", b"busy")
    assert answered.status == 200
    assert asked == [("GET", "/Users?count=1", "Bearer x", b""), ("POST", "/token", None, b"a=b")]


def test_a_call_follows_no_redirect() -> None:
    """Attack: whoever answers at the other end would get the credential."""
    asked: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        say(handler, 307, Location="/elsewhere")

    with server(answer) as url:
        assert outbound.ask(outbound.Call(url=url)).status == 307
    assert asked == ["/"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("https://127.0.0.1/Users", "private address", id="a private address"),
        pytest.param("http://idp.example/Users", "must begin with https", id="no TLS"),
        pytest.param("https://user@idp.example/Users", "not an address", id="a name in the address"),
    ],
)
def test_a_call_of_production_keeps_to_the_rules_of_the_way_out(url: str, said: str) -> None:
    with pytest.raises(outbound.Refused, match=said):
        outbound.ask(outbound.Call(url=url), allow_private=False)


def test_a_call_reads_so_much_and_no_more() -> None:
    with (
        server(lambda h: say(h, 500, b"x" * 2000)) as url,
        pytest.raises(outbound.Refused, match="larger than 1 KiB"),
    ):
        outbound.ask(outbound.Call(url=url), max_bytes=1024)
