"""A browser over a socket, in the place of Django's test client. Knows HTTP and cookies; no message."""

import http.client
import json
import select
from contextlib import suppress
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the tests read of Django's responses."""

    status_code: int
    headers: http.client.HTTPMessage
    content: bytes
    cookies: SimpleCookie

    def json(self) -> Any:
        return json.loads(self.content)

    def __getitem__(self, name: str) -> str:
        return str(self.headers[name])


class Link(http.client.HTTPConnection):
    def send(self, data: bytes) -> None:
        """Until the other side answers or closes: a server that has read enough reads no further."""
        if self.sock is None:
            self.connect()
        left = memoryview(data)
        with suppress(ConnectionError):
            while left:
                answered, _, _ = select.select([self.sock], [self.sock], [], self.timeout)
                if answered:
                    return
                left = left[self.sock.send(left[:65536]) :]


@dataclass(kw_only=True)
class WireClient:
    port: int
    address: str = ""
    """Where it seems to come from, to a hub that stands behind a proxy."""
    cookies: SimpleCookie = field(default_factory=SimpleCookie)

    def get(self, path: str, data: dict[str, str] | None = None, headers: Any = None) -> Answer:
        return self.generic("GET", f"{path}?{urlencode(data)}" if data else path, headers=headers)

    def post(self, path: str, data: dict[str, str]) -> Answer:
        return self.generic("POST", path, urlencode(data).encode())

    def generic(
        self,
        method: str,
        path: str,
        data: bytes = b"",
        content_type: str = "application/x-www-form-urlencoded",
        headers: Any = None,
    ) -> Answer:
        link = Link("127.0.0.1", self.port, timeout=30)
        said = {"Cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())}
        said |= {"X-Forwarded-For": self.address} if self.address else {}
        said |= {"Content-Type": content_type} if content_type else {}
        try:
            link.request(method, path, body=data, headers=said | dict(headers or {}))
            got = link.getresponse()
            content = got.read()
        finally:
            link.close()
        new = SimpleCookie()
        for line in got.headers.get_all("Set-Cookie", []):
            new.load(line)
        self.cookies.update(new)
        return Answer(status_code=got.status, headers=got.headers, content=content, cookies=new)
