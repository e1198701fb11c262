"""Somebody with a browser, in plain HTTP: follows redirects, sends the forms it gets. Knows no rule."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import requests

from identity_hub.demo import files
from identity_hub.demo.files import Person
from identity_hub.demo.stack import Stack


class NoForm(Exception):
    """A page without the form that a login needs."""


class _FirstForm(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form" and self.action is None:
            self.action, self.inside = found.get("action") or "", True
        elif tag == "input" and self.inside and found.get("type") == "hidden":
            self.fields[found.get("name") or ""] = found.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False


@dataclass(slots=True)
class Visitor:
    """One browser: its cookies are its session with the hub."""

    stack: Stack
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False

    def log_in(self, person: Person, connection_id: str = "") -> requests.Response:
        """Goes from the hub to the IdP and back; the page on which the visitor ends. Default: the demo's connection."""
        key = connection_id or self.stack.hub.connections[files.IDP_CONNECTION]
        login = self.session.get(f"{self.stack.hub.url}/saml/{key}/login", timeout=30)
        answer = self._send(login, person=person.object_id, password=files.PASSWORD)
        return self._send(answer)

    def me(self) -> tuple[int, dict[str, Any]]:
        """Status and content of the account page, as a program sees it."""
        answer = self.session.get(
            f"{self.stack.hub.url}/me/", headers={"Accept": "application/json"}, timeout=30
        )
        return answer.status_code, answer.json()

    def _send(self, page: requests.Response, **fields: str) -> requests.Response:
        form = _FirstForm()
        form.feed(page.text)
        if form.action is None:
            raise NoForm(f"{page.url.partition('?')[0]} answered {page.status_code} without a form.")
        # A browser says where a form came from; the hub's and the IdP's own forms rely on it.
        origin = "/".join(page.url.split("/")[:3])
        return self.session.post(
            urljoin(page.url, form.action),
            data={**form.fields, **fields},
            headers={"Origin": origin},
            timeout=30,
        )
