"""Thousands of requests of every kind: none ends in a 500, and none tells or changes anything of another tenant's.

Three connections stand side by side, two of them of one tenant, with the same names and keys in each; everything
else that they hold is a secret of theirs. Each conversation is one sender's, is undone behind it, and is the same in
every run; `--hypothesis-profile=thorough` has fifty times as many, others each time.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.db import connection as database
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from pydantic import ValidationError
from scim2_models import Context, ResourceType, Schema, ScimProvider

from provisioning import request_log
from provisioning.models import DirectoryGroup
from provisioning.services import configuration, schemas
from provisioning.services.definitions import definition_of
from scim.queries import MAX_COUNT
from scim.responses import LIST_URN
from tests.provisioning.cast import OPERATOR
from tests.scim import wild
from tests.scim.clients import Idp, an_idp, error_of
from tests.scim.test_custom_schemas import BADGE, ROOMS
from tests.scim.wild import Request

pytestmark = pytest.mark.django_db

REQUESTS = 10_000
LENGTH = 10
USUAL = 100
"""Examples in Hypothesis's own profile."""
CONVERSATIONS = REQUESTS // LENGTH // USUAL * settings.default.max_examples

SCIM_TYPES = {
    *("invalidFilter", "tooMany", "uniqueness", "mutability", "invalidSyntax", "invalidPath", "noTarget"),
    *("invalidValue", "invalidVers", "sensitive", "invalidCursor", "expiredCursor", "invalidCount"),
}
_PLACE = re.compile(r"~(\w+?)(\d?)~")
_CLIENT = Client(raise_request_exception=True)
_EMPTY: tuple[Any, ...] = (None, "", [], {})


@dataclass
class Peer:
    """One sender: what it knows, and what only it may be told."""

    idp: Idp
    known: dict[str, list[str]]
    """What its requests name: ids by type, and the last cursor."""
    secrets: re.Pattern[bytes]
    """What stands in no request, and in no answer to anybody else."""
    models: dict[str, Any]
    """scim2-models' model of each resource type, made of what discovery says."""
    rows: dict[str, str] = field(default_factory=dict)
    """What the database holds of its tenant, and of its connection."""

    def filled(self, text: str) -> str:
        return _PLACE.sub(self._stand_in, text)

    def _stand_in(self, found: re.Match[str]) -> str:
        values = self.known.get(found[1])
        return values[int(found[2] or 0) % len(values)] if values else found[0]

    def sent(self, request: Request) -> HttpResponse:
        path = self.filled(request.path)
        if request.query:
            asked = [(name, self.filled(value)) for name, value in request.query]
            path += "?" + urlencode(asked, errors="replace")
        body = request.body
        if not isinstance(body, bytes):
            body = b"" if body is None else self.filled(json.dumps(body)).encode()
        return _CLIENT.generic(
            request.method,
            f"/scim/v2{path}",
            data=body,
            content_type=request.content_type,
            headers={"Authorization": f"Bearer {self.idp.token}", **request.headers},
        )


def _peer(slug: str, number: int) -> Peer:
    """A connection with users, groups, things and rights: half of their ids are known to everybody."""
    idp = an_idp(slug, requests_per_minute=0)
    secret = f"only-{slug}-{number}"
    made: dict[str, list[str]] = {"user": [], "group": [], "thing": []}
    for n, name in enumerate(("ada", "bob", "eve", "joe")):
        told = {"externalId": f"key-{n}", "title": secret, "nickName": secret, "displayName": secret}
        emails = [{"value": f"{name}@x.org", "type": "work", "display": secret}]
        made["user"].append(idp.person(name, emails=emails, **told)["id"])
    for n in range(2):
        group = idp.group(f"{secret}-{n}", made["user"][n::2], externalId=f"key-{n}")
        made["group"].append(group["id"])
        urn, extension = wild.KINDS["thing"].urn, next(iter(wild.KINDS["thing"].extensions.values())).urn
        thing = {"schemas": [urn], "name": f"{secret}-{n}", extension: {"code": secret}}
        made["thing"].append(idp.post("/TestResources", thing).json()["id"])
    for kind in ("role", "group"):
        right = configuration.create_entitlement(
            tenant=idp.where.tenant, name=f"{secret}-{kind}", kind=kind, actor=OPERATOR, reason="As agreed"
        )
        group = DirectoryGroup.objects.get(pk=made["group"][0])
        configuration.map_entitlement(entitlement=right, group=group, actor=OPERATOR, reason="As agreed")
        made["entitlement" if kind == "group" else kind] = [str(right.pk)]
    models = _models(idp)
    hidden = [id_ for ids in made.values() for id_ in ids[len(ids) // 2 :]]
    return Peer(idp, made, re.compile("|".join([secret, *hidden]).encode()), models)


def _models(idp: Idp) -> dict[str, Any]:
    published, types = (idp.get(path).json()["Resources"] for path in ("/Schemas", "/ResourceTypes"))
    # It expects a value of all that is always returned; the type that is nothing but data need not have one.
    told = [ResourceType.model_validate(one) for one in types if one["name"] != wild.KINDS["thing"].name]
    provider = ScimProvider.from_discovery(map(Schema.model_validate, published), told)
    return {one.name: provider.model_for(one) for one in told}


@pytest.fixture
def peers(db: None, settings: Any) -> list[Peer]:
    settings.HUB_SCIM_CONFORMANCE = True
    for slug in ("acme", "globex"):
        tenant = an_idp(slug).where.tenant
        for document, resource in ((wild.OWN_USER.documents[-1], "User"), (BADGE, "User"), (ROOMS, "Group")):
            definition = definition_of(document, resource=resource)
            schemas.define(tenant=tenant, definition=definition, actor=OPERATOR, reason="As agreed")
    found = [_peer("acme", 1), _peer("acme", 2), _peer("globex", 3)]
    for peer, other in zip(found, [found[2], found[0], found[1]], strict=True):
        strangers = [ids[0] for ids in other.known.values()]
        peer.known |= {
            "stranger": strangers,
            "name": ["ada", "bob"],
            "key": ["key-0", "key-1"],
            "cursor": [""],
        }
    request_log.flush()
    for peer in found:
        peer.rows = {owner: _rows_of(peer, owner) for owner in ("tenant_id", "connection_id")}
    return found


def _judged(others: list[Peer], request: Request, answer: HttpResponse) -> Any:
    """The body. Whatever was asked, the answer is whole, and nobody else's."""
    status, content = answer.status_code, answer.content
    # Who keeps guessing tokens is not heard for a while.
    assert status < 500, content
    assert status != 429 or "Authorization" in request.headers, content
    whole = content + b"\n".join(f"{name}: {value}".encode() for name, value in answer.items())
    assert wild.PASSWORD.encode() not in whole
    for other in others:
        assert not other.secrets.search(whole), whole
    if request.method == "HEAD":
        assert content == b""
        return None
    if status >= 400:
        scim_type = error_of(answer)[1]
        assert scim_type in SCIM_TYPES if status == 400 else scim_type in (None, *SCIM_TYPES)
        assert ("Allow" in answer, "WWW-Authenticate" in answer) == (status == 405, status == 401)
        return answer.json()
    if not content:
        assert status in (204, 304)
        return None
    assert answer["Content-Type"].startswith("application/scim+json")
    body = answer.json()
    if LIST_URN in body["schemas"]:
        assert body["itemsPerPage"] == len(body["Resources"]) <= MAX_COUNT or request.path.startswith(
            "/Schemas"
        )
        for one in body["Resources"]:
            _demand_told(one)
    else:
        _demand_told(body)
    if status == 201:
        assert {"Location", "ETag"} <= answer.headers.keys()
    return body


def _demand_told(value: Any) -> None:
    """Nothing is said to be absent (RFC 7643 2.5)."""
    for inner in value.values() if isinstance(value, dict) else value:
        assert inner not in _EMPTY, value
        if isinstance(inner, dict | list):
            _demand_told(inner)


def _rows_of(peer: Peer, owner: str) -> str:
    """A digest of every row that names the peer's tenant or connection, whichever the column `owner` holds."""
    key = peer.idp.tenant_id if owner == "tenant_id" else peer.idp.connection.pk
    tables = [
        model._meta.db_table
        for model in apps.get_app_config("provisioning").get_models()
        if owner in {one.attname for one in model._meta.concrete_fields}
    ]
    rows = " UNION ALL ".join(f"SELECT t::text FROM {table} t WHERE {owner} = %s" for table in tables)  # noqa: S608
    digest = f"SELECT md5(string_agg(row, '' ORDER BY row)) FROM ({rows}) AS found(row)"  # noqa: S608
    with database.cursor() as cursor:
        cursor.execute(digest, [key] * len(tables))
        return str(cursor.fetchone()[0])


def _unlogged() -> float:
    return REGISTRY.get_sample_value("hub_scim_requests_unlogged_total") or 0.0


class Conversation:
    """What one peer sends, and whether the others could notice."""

    def __init__(self, peer: Peer, others: list[Peer]) -> None:
        self.peer = replace(peer, known={name: list(values) for name, values in peer.known.items()})
        self.others = others
        self.answered: Counter[str] = Counter()

    def ask(self, request: Request) -> HttpResponse:
        note(f"{self.peer.idp.connection}: {request}")
        answer = self.peer.sent(request)
        self.answered[f"{request.method} {answer.status_code}"] += 1
        body = _judged(self.others, request, answer)
        if isinstance(body, dict):
            self._learn(answer, body)
            for resource in body.get("Resources", [body]) if answer.status_code < 300 else ():
                self._demand_valid(request, resource)
        return answer

    def _demand_valid(self, request: Request, resource: dict[str, Any]) -> None:
        """What is shown whole is what its schemas say, to a strict reader."""
        model = self.peer.models.get(resource.get("meta", {}).get("resourceType"))
        if model and not request.query and "search" not in request.path:
            assert _faults(model, resource) == []

    def _learn(self, answer: HttpResponse, body: dict[str, Any]) -> None:
        known = self.peer.known
        if cursor := body.get("nextCursor"):
            known["cursor"] = [cursor]
        if answer.status_code == 201:
            endpoint = answer["Location"].rsplit("/", 2)[1]
            name = next(name for name, one in wild.ENDPOINTS.items() if one == endpoint)
            known[name].insert(0, body["id"])

    def play(self, requests: list[Request]) -> None:
        """The requests, and all that they made undone."""
        lost = _unlogged()
        with transaction.atomic():
            for request in requests:
                answer = self.ask(request)
                if request.method == "GET" and b'"nextCursor"' in answer.content:
                    self._demand_all(request, answer)
                elif request.method in ("POST", "PUT", "PATCH") and not request.query:
                    self._demand_kept(answer)
            request_log.flush()
            for other in self.others:
                owner = "connection_id" if other.idp.tenant_id == self.peer.idp.tenant_id else "tenant_id"
                assert _rows_of(other, owner) == other.rows[owner]
            transaction.set_rollback(True)
        assert _unlogged() == lost

    def _demand_kept(self, written: HttpResponse) -> None:
        """What a read finds was answered to the write, which also shows what is returned on request."""
        if "Location" in written:
            read = self.ask(Request("GET", written["Location"].partition("/scim/v2")[2]))
            assert _is_within(read.json(), written.json()), (read.json(), written.json())
            assert read["ETag"] == written["ETag"]

    def _demand_all(self, request: Request, page: HttpResponse) -> None:
        """Page by page a query finds whom it finds at once."""
        asked = {name.lower(): value for name, value in request.query}
        if asked["cursor"]:
            return
        kept = (
            (name, value) for name, value in asked.items() if name not in ("cursor", "startindex", "count")
        )
        whole = self.ask(replace(request, query=(*kept, ("count", str(MAX_COUNT))))).json()
        found = _ids(page.json())
        while cursor := page.json().get("nextCursor"):
            page = self.ask(replace(request, query=tuple({**asked, "cursor": cursor}.items())))
            found += _ids(page.json())
        assert found == _ids(whole)


def _faults(model: Any, resource: dict[str, Any]) -> list[str]:
    try:
        model.model_validate(resource, scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    except ValidationError as error:
        # RFC 7643 2.3.7 has relative references, too; the model only those that begin with a slash.
        return [str(one) for one in error.errors() if "Invalid URI" not in one["msg"]]
    return []


def _ids(page: dict[str, Any]) -> list[str]:
    return [one["id"] for one in page["Resources"]]


def _is_within(some: Any, whole: Any) -> bool:
    if isinstance(some, dict):
        return all(name in whole and _is_within(inner, whole[name]) for name, inner in some.items())
    if isinstance(some, list):
        return len(some) == len(whole) and all(map(_is_within, some, whole))
    return bool(some == whole)


def test_whatever_arrives_is_answered_and_stays_with_its_tenant(peers: list[Peer]) -> None:
    answered: Counter[str] = Counter()

    @settings(
        max_examples=CONVERSATIONS,
        derandomize=settings.default.max_examples == USUAL,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.binary(min_size=8, max_size=8))
    def converse(seed: bytes) -> None:
        dice = wild.Dice(seed)
        peer = dice.one(peers)
        conversation = Conversation(peer, [other for other in peers if other is not peer])
        conversation.play([wild.request(dice) for _ in range(LENGTH)])
        answered.update(conversation.answered)

    converse()
    assert answered.total() >= REQUESTS
    # Not everything is nonsense: what is refused at once finds little.
    done = ("GET 200", "POST 201", "POST 200", "PATCH 200", "PUT 200", "DELETE 204")
    assert min(answered[one] for one in done) > REQUESTS // 100
