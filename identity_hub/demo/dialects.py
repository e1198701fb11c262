"""How Entra ID and Okta speak SCIM, for the push page and the story. Knows no server but the one it is given.

The shapes are those of the vendors' pages: "Develop and plan provisioning for a SCIM endpoint" (Microsoft)
and "Build your SCIM API service" (Okta).
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import requests

from identity_hub.demo.files import Person

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

Document = dict[str, Any]
Send = Callable[[str, str, bytes | None], tuple[int, bytes]]
"""(method, path below /scim/v2, body) -> (status, body)."""


class Unexpected(Exception):
    """The server answered something with which this client could not go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer, as the push page shows them."""

    method: str
    path: str
    body: Document | None
    status: int
    answer: Document | None


def over_http(base: str, token: str, agent: str) -> Send:
    """Sends to a running hub. `base` ends in /scim/v2."""
    session = requests.Session()
    session.headers.update({"Authorization": f"Bearer {token}", "User-Agent": agent})
    session.trust_env = False

    def send(method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/scim+json"} if body is not None else {}
        answer = session.request(method, f"{base}{path}", data=body, headers=headers, timeout=30)
        return answer.status_code, answer.content

    return send


@dataclass(slots=True)
class Client:
    """What both dialects share: a look-up before a create, and `exchanges`, which keeps everything said."""

    send: Send
    exchanges: list[Exchange] = field(default_factory=list)

    def call(self, method: str, path: str, body: Document | None = None) -> tuple[int, Document]:
        content = json.dumps(body).encode() if body is not None else None
        status, raw = self.send(method, path, content)
        answer = json.loads(raw) if raw else None
        self.exchanges.append(Exchange(method=method, path=path, body=body, status=status, answer=answer))
        return status, answer or {}

    def expect(
        self, statuses: Iterable[int], method: str, path: str, body: Document | None = None
    ) -> Document:
        status, answer = self.call(method, path, body)
        if status not in statuses:
            raise Unexpected(
                f"{method} {path.partition('?')[0]}: {status} {answer.get('detail', '')}".strip()
            )
        return answer

    def find(self, endpoint: str, attribute: str, value: str, more: str = "") -> Document | None:
        condition = quote(f'{attribute} eq "{value}"')
        found = self.expect([200], "GET", f"/{endpoint}?filter={condition}{more}").get("Resources", [])
        return found[0] if found else None

    def delete(self, account_id: str) -> None:
        self.expect([204], "DELETE", f"/Users/{account_id}")


class Entra(Client):
    """Capital op names, string booleans, one PATCH per change, members added after the group."""

    agent = "Microsoft Entra ID provisioning (demo)"

    def push(self, person: Person) -> Document:
        """Creates or updates; the resource that the hub answers."""
        known = self.find("Users", "userName", person.user_name)
        if known is None:
            return self.expect([201], "POST", "/Users", self._user(person))
        operations = [
            {"op": "Replace", "path": "displayName", "value": person.name},
            {"op": "Replace", "path": "title", "value": person.title},
            {"op": "Replace", "path": "name.givenName", "value": person.given_name},
            {"op": "Replace", "path": "name.familyName", "value": person.family_name},
            {"op": "Replace", "path": "externalId", "value": person.object_id},
            {"op": "Add", "path": f"{ENTERPRISE}:department", "value": person.department},
        ]
        return self._patch(f"/Users/{known['id']}", operations)

    def set_active(self, account_id: str, active: bool) -> Document:
        operation = {"op": "Replace", "path": "active", "value": str(active)}
        return self._patch(f"/Users/{account_id}", [operation])

    def push_group(self, name: str, members: Iterable[str]) -> Document:
        group = self.find("Groups", "displayName", name, "&excludedAttributes=members")
        if group is None:
            body = {
                "schemas": [
                    GROUP,
                    "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group",
                ],
                "externalId": str(uuid4()),
                "displayName": name,
                "meta": {"resourceType": "Group"},
            }
            group = self.expect([201], "POST", "/Groups", body)
        operation = {"op": "Add", "path": "members", "value": [{"$ref": None, "value": m} for m in members]}
        self._patch(f"/Groups/{group['id']}", [operation])
        return group

    def _patch(self, path: str, operations: list[Document]) -> Document:
        body = {"schemas": [PATCH], "Operations": operations}
        return self.expect([200, 204], "PATCH", path, body)

    @staticmethod
    def _user(person: Person) -> Document:
        return {
            "schemas": [USER, ENTERPRISE],
            "externalId": person.object_id,
            "userName": person.user_name,
            "active": True,
            "displayName": person.name,
            "title": person.title,
            "emails": [{"primary": True, "type": "work", "value": person.user_name}],
            "meta": {"resourceType": "User"},
            "name": {
                "formatted": person.name,
                "familyName": person.family_name,
                "givenName": person.given_name,
            },
            "roles": [],
            ENTERPRISE: {"department": person.department},
        }


class Okta(Client):
    """Paged look-ups, profile updates by PUT, deactivation by a PATCH without a path."""

    agent = "Okta SCIM Client 1.0.0"

    def push(self, person: Person) -> Document:
        """Creates or updates; the resource that the hub answers."""
        known = self.find("Users", "userName", person.user_name, "&startIndex=1&count=100")
        if known is None:
            return self.expect([201], "POST", "/Users", self._user(person))
        body = {**self._user(person), "id": known["id"], "meta": {"resourceType": "User"}}
        return self.expect([200], "PUT", f"/Users/{known['id']}", body)

    def set_active(self, account_id: str, active: bool) -> Document:
        body = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"active": active}}]}
        return self.expect([200, 204], "PATCH", f"/Users/{account_id}", body)

    def push_group(self, name: str, members: Iterable[str]) -> Document:
        group = self.find("Groups", "displayName", name, "&startIndex=1&count=100")
        if group is None:
            empty: Document = {"schemas": [GROUP], "displayName": name, "members": []}
            group = self.expect([201], "POST", "/Groups", empty)
        operation = {"op": "add", "path": "members", "value": [{"value": member} for member in members]}
        patch = {"schemas": [PATCH], "Operations": [operation]}
        self.expect([200, 204], "PATCH", f"/Groups/{group['id']}", patch)
        return group

    @staticmethod
    def _user(person: Person) -> Document:
        return {
            "schemas": [USER],
            "userName": person.user_name,
            "name": {"givenName": person.given_name, "familyName": person.family_name},
            "emails": [{"primary": True, "value": person.user_name, "type": "work"}],
            "displayName": person.name,
            "locale": "en-US",
            "externalId": f"00u{person.object_id.replace('-', '')[-16:]}",
            "groups": [],
            "active": True,
        }
