"""What an IdP and its people ask of a real hub, over HTTP: one joins, signs in, is switched off, and is out.

Knows no service behind the hub, and not which of them is away.
"""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import requests

from identity_hub.core.clock import now
from tests.saml_sp.idp import TestIdp, encode, read_request

from ..cast import House, user

PATIENCE = 20
"""Seconds after which a client gives up."""
_OFF = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    "Operations": [{"op": "replace", "path": "active", "value": False}],
}


@dataclass
class Visitors:
    """`where` has the metadata of `idp`. Each answer's time is kept in `seconds`."""

    hub: str
    where: House
    idp: TestIdp
    came: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def joiner_and_leaver(self) -> None:
        name = f"visitor{len(self.came)}"
        self.came.append(name)
        browser, address = requests.Session(), f"{self.hub}/saml/{self.where.connection.pk}"
        made = self._push("POST", "/Users", user(f"{name}@{self.where.domain}", name), expects=201)
        sent = self._ask(browser, "GET", f"{address}/login", expects=302)
        facts = self.idp.facts(read_request(sent.headers["Location"]), now(), name_id=name)
        said = {"SAMLResponse": encode(self.idp.signed_assertion(facts))}
        self._ask(browser, "POST", f"{address}/acs", data=said, expects=302)
        as_json = {"Accept": "application/json"}
        self._ask(browser, "GET", f"{self.hub}/me/", headers=as_json, expects=200)
        self._push("PATCH", f"/Users/{made.json()['id']}", _OFF, expects=200)
        self._ask(browser, "GET", f"{self.hub}/me/", headers=as_json, expects=401)

    def _push(self, method: str, path: str, document: dict[str, Any], *, expects: int) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.where.token}", "Content-Type": "application/scim+json"}
        address, body = f"{self.hub}/scim/v2{path}", json.dumps(document)
        return self._ask(requests.Session(), method, address, data=body, headers=headers, expects=expects)

    def _ask(
        self, browser: requests.Session, method: str, address: str, *, expects: int, **options: Any
    ) -> requests.Response:
        started = time.monotonic()
        answer = browser.request(method, address, allow_redirects=False, timeout=PATIENCE, **options)
        self.seconds.append(time.monotonic() - started)
        assert answer.status_code == expects, (method, address, answer.status_code, answer.text[:500])
        return answer
