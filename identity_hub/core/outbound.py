"""The hub's one way out: fetches a document by its URL, and asks a program interface. Knows no tenant and no format."""

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from urllib.parse import SplitResult, urljoin, urlsplit

from django.conf import settings

MAX_BYTES = 2 * 1024 * 1024
MAX_VERSION = 200
REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Refused(ValueError):
    """The document was not fetched; `str()` is a sentence for the administrator who named the URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    url: str
    """Where it was found, after redirects."""
    content_type: str
    body: bytes
    version: "Version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What a server calls one state of a document: its ETag and Last-Modified, "" where it names none."""

    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    """May hold a credential, so nobody shows them."""
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes


def ask(
    call: Call, *, max_bytes: int = MAX_BYTES, seconds: float = 30, allow_private: bool | None = None
) -> Reply:
    """Whatever the server says, be it a refusal; raises `Refused` where it says nothing that can be read.

    Resolves and connects as `fetch_newer` does, and follows no redirect: a call carries a credential, which whoever
    answers at the other end of one would get.
    """
    private = not settings.HUB_PRODUCTION if allow_private is None else allow_private
    deadline = monotonic() + seconds
    parts = _checked(call.url, private)
    return _exchange(parts, _address(parts, private), call, max_bytes, deadline)


def fetch(
    url: str,
    *,
    max_bytes: int = MAX_BYTES,
    seconds: float = 15,
    max_redirects: int = 3,
    allow_private: bool | None = None,
) -> Document:
    """Answers the document at `url`, or raises `Refused`; `fetch_newer` says how it gets there."""
    document = fetch_newer(
        url,
        Version(),
        max_bytes=max_bytes,
        seconds=seconds,
        max_redirects=max_redirects,
        allow_private=allow_private,
    )
    assert document is not None  # a server that was told of no version cannot say that it is the same
    return document


def fetch_newer(
    url: str,
    known: Version,
    *,
    max_bytes: int = MAX_BYTES,
    seconds: float = 15,
    max_redirects: int = 3,
    allow_private: bool | None = None,
) -> Document | None:
    """Answers the document at `url`, None while it is the `known` one (RFC 9110 13), or raises `Refused`.

    Each hop is resolved once and connected to that very address: a second look-up could be answered with an
    inner address after the first one was judged (DNS rebinding). `allow_private` (default: everywhere but in
    production) also allows plain http, for an IdP on the developer's own machine.
    """
    private = not settings.HUB_PRODUCTION if allow_private is None else allow_private
    deadline = monotonic() + seconds
    for _ in range(max_redirects + 1):
        parts = _checked(url, private)
        answer = _get(parts, _address(parts, private), known, max_bytes, deadline)
        if not isinstance(answer, str):
            return answer
        url = urljoin(url, answer)
    raise Refused(f"The address redirects more than {max_redirects} times.")


def check(url: str) -> None:
    """Raises `Refused` for what can never be fetched, without asking anybody."""
    _checked(url, not settings.HUB_PRODUCTION)


def _checked(url: str, private: bool) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise Refused("This is not an address that can be fetched.") from None
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise Refused("The address must begin with https://.")
    if not parts.hostname or parts.username or not url.isascii() or any(c <= " " for c in url):
        raise Refused("This is not an address that can be fetched.")
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _address(parts: SplitResult, private: bool) -> str:
    try:
        found = socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Refused(f"The name {parts.hostname} cannot be resolved.") from None
    addresses = [str(sockaddr[0]) for *_, sockaddr in found]
    # One inner address among public ones is refused too: which one is used is chance.
    if not private and not all(_is_public(address) for address in addresses):
        raise Refused(f"{parts.hostname} is a private address; production fetches from public ones only.")
    return addresses[0]


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if inner := ip.ipv4_mapped or ip.sixtofour:
            return _is_public(str(inner))
        if ip in _NAT64:
            return _is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _get(
    parts: SplitResult, address: str, known: Version, max_bytes: int, deadline: float
) -> Document | str | None:
    """The document, or where the server says it is; None while it is the known one."""
    call = Call(url=parts.geturl(), headers=_conditions(known))
    reply = _exchange(parts, address, call, max_bytes, deadline, wanted=http.client.OK)
    if reply.status == http.client.NOT_MODIFIED and known != Version():
        return None
    if reply.status in REDIRECTS and reply.headers.get("location"):
        return reply.headers["location"]
    if reply.status != http.client.OK:
        raise Refused(f"{parts.hostname} answered with status {reply.status}.")
    return Document(
        url=call.url,
        content_type=reply.headers.get("content-type", ""),
        body=reply.body,
        version=Version(
            etag=_kept(reply.headers.get("etag")),
            last_modified=_kept(reply.headers.get("last-modified")),
        ),
    )


def _exchange(
    parts: SplitResult,
    address: str,
    call: Call,
    max_bytes: int,
    deadline: float,
    wanted: int | None = None,
) -> Reply:
    """The reply; of a status that is not the `wanted` one, if one is named, without its body."""
    host, port = str(parts.hostname), _port(parts)
    connection = http.client.HTTPConnection(host, port)
    watchdog = None
    try:
        raw = socket.create_connection((address, port), timeout=_remaining(deadline))
        if parts.scheme == "https":
            raw = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
        connection.sock = raw
        # A socket timeout only limits each read: a server that sends a byte a second would hold us for hours.
        watchdog = threading.Timer(_remaining(deadline), _hang_up, (raw,))
        watchdog.daemon = True
        watchdog.start()
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"User-Agent": "identity-hub", "Accept-Encoding": "identity"}
        connection.request(call.method, path, body=call.body, headers={**headers, **call.headers})
        response = connection.getresponse()
        said = {name.lower(): value for name, value in response.headers.items()}
        if wanted is not None and response.status != wanted:
            return Reply(status=response.status, headers=said, body=b"")
        body = response.read(max_bytes + 1)
        if len(body) > max_bytes:
            raise Refused(f"The document is larger than {max_bytes // 1024} KiB.")
        if response.length:  # what was announced and did not come
            raise Refused(f"{host} did not send the whole document in time.")
        return Reply(status=response.status, headers=said, body=body)
    except ssl.SSLError as error:
        raise Refused(f"The TLS connection to {host} failed ({error.reason or 'not verified'}).") from None
    except (OSError, http.client.HTTPException) as error:
        raise Refused(f"{host} could not be read ({type(error).__name__}).") from None
    finally:
        if watchdog:
            watchdog.cancel()
        connection.close()


def _conditions(known: Version) -> dict[str, str]:
    named = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in named.items() if value}


def _kept(value: str | None) -> str:
    """A header that may be sent back; one of no sane form is as good as none."""
    value = (value or "").strip()
    return value if len(value) <= MAX_VERSION and value.isascii() and value.isprintable() else ""


def _remaining(deadline: float) -> float:
    remaining = deadline - monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining


def _hang_up(raw: socket.socket) -> None:
    with suppress(OSError):  # closed already
        raw.shutdown(socket.SHUT_RDWR)
