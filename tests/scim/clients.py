"""A SCIM client of one connection, and the URNs it speaks of. Knows no rule."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpResponse
from django.test import Client

from provisioning.decision.types import Intent
from provisioning.models import Connection, Tenant
from provisioning.services import configuration, submit_many
from tests.provisioning.cast import OPERATOR, House, extend, pushed, user

USER_URN = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_URN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_URN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR_URN = "urn:ietf:params:scim:api:messages:2.0:Error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Idp:
    """A SCIM client of one connection."""

    where: House

    @property
    def connection(self) -> Connection:
        return self.where.connection

    @property
    def token(self) -> str:
        return self.where.token

    @property
    def tenant_id(self) -> UUID:
        return self.connection.tenant_id

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
        content_type: str = "application/scim+json",
    ) -> HttpResponse:
        return Client(raise_request_exception=True).generic(
            method,
            f"/scim/v2{path}",
            data=raw if raw is not None else (b"" if body is None else orjson.dumps(body)),
            content_type=content_type,
            headers={"Authorization": f"Bearer {self.token}", **(headers or {})},
            query_params=query,
        )

    def get(self, path: str, **query: Any) -> HttpResponse:
        return self.send("GET", path, query=query)

    def find(self, path: str, condition: str, **query: Any) -> list[dict[str, Any]]:
        answer = self.get(path, filter=condition, **query)
        assert answer.status_code == 200, answer.content
        found: list[dict[str, Any]] = answer.json()["Resources"]
        return found

    def post(self, path: str, body: Any) -> HttpResponse:
        return self.send("POST", path, body)

    def put(self, path: str, body: Any, **more: Any) -> HttpResponse:
        return self.send("PUT", path, body, **more)

    def patch(self, path: str, *operations: dict[str, Any], **more: Any) -> HttpResponse:
        return self.send("PATCH", path, {"schemas": [PATCH_URN], "Operations": list(operations)}, **more)

    def delete(self, path: str, **more: Any) -> HttpResponse:
        return self.send("DELETE", path, **more)

    def person(self, name: str = "ada", **attributes: Any) -> dict[str, Any]:
        """A user that was just created, as the answer showed it."""
        answer = self.post("/Users", {"schemas": [USER_URN], "userName": name, **attributes})
        assert answer.status_code == 201, answer.content
        created: dict[str, Any] = answer.json()
        return created

    def crowd(self, number: int) -> list[str]:
        """The ids of so many people, pushed in one batch: p0, p1, ..."""
        documents = (
            user(f"p{n}", f"k{n}", emails=[{"value": f"p{n}@x.example", "type": "work"}])
            for n in range(number)
        )
        outcomes = submit_many([pushed(self.where, Intent.CREATE, document) for document in documents])
        return [str(outcome.account_id) for outcome in outcomes]

    def group(
        self, name: str = "Staff", members: list[str] | None = None, **attributes: Any
    ) -> dict[str, Any]:
        body = {"schemas": [GROUP_URN], "displayName": name, **attributes}
        if members is not None:
            body["members"] = [{"value": member} for member in members]
        answer = self.post("/Groups", body)
        assert answer.status_code == 201, answer.content
        created: dict[str, Any] = answer.json()
        return created


def an_idp(slug: str, **options: Any) -> Idp:
    tenant = Tenant.objects.filter(slug=slug).first() or configuration.create_tenant(
        slug=slug, name=slug.title(), actor=OPERATOR, reason="As agreed"
    )
    number = Connection.objects.filter(tenant=tenant).count()
    return Idp(where=extend(tenant, name=f"{slug} {number}", **({"jit": "off"} | options)))


def error_of(answer: HttpResponse) -> tuple[int, str | None]:
    """(status, scimType) of an answer that must be a whole SCIM Error (RFC 7644 3.12)."""
    body = answer.json()
    assert answer["Content-Type"].startswith("application/scim+json")
    assert body["schemas"] == [ERROR_URN]
    assert body["status"] == str(answer.status_code)
    assert body["detail"]
    return answer.status_code, body.get("scimType")
