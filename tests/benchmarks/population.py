"""A tenant of some size, loaded by Bulk over HTTP, with its groups. Knows no measurement but that of its loading."""

import http.client
import threading
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import orjson

from identity_hub.core.ids import new_id
from provisioning.decision.types import Actor
from provisioning.services import configuration
from provisioning.services.tokens import issue_token

OPERATOR = Actor(kind="command", id="bench")
LARGE_GROUP = 10_000
BATCH = 1_000
LINES = 3
"""How many Bulk requests are under way at once."""
SCIM = "urn:ietf:params:scim"


def document(number: int, domain: str) -> dict[str, Any]:
    name = f"person{number}@{domain}"
    return {
        "schemas": [f"{SCIM}:schemas:core:2.0:User"],
        "externalId": f"ext-{number}",
        "userName": name,
        "active": True,
        "name": {"givenName": f"Given{number}", "familyName": "Example"},
        "displayName": f"Given{number} Example",
        "emails": [{"value": name, "type": "work", "primary": True}],
    }


@dataclass
class Population:
    """`seconds` is how long it took to load. `group` and `bare_group` hold LARGE_GROUP members (or all)."""

    size: int
    port: int
    token: str
    domain: str
    accounts: list[str] = field(default_factory=list)
    seconds: float = 0.0
    group: str = ""
    bare_group: str = ""
    changing: str = ""
    bare_changing: str = ""
    far_cursor: str = ""
    _turns: dict[str, int] = field(default_factory=lambda: defaultdict(lambda: -1))

    def turn(self, work: str) -> int:
        """0, 1, 2 ... for each kind of work."""
        self._turns[work] += 1
        return self._turns[work]

    def fresh(self) -> int:
        """A number that nobody has yet."""
        return self.size + self.turn("fresh")

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json"}

    def asked(self, line: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> Any:
        line.request(method, path, orjson.dumps(body) if body is not None else None, self.headers)
        answer = line.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status}: {said[:300]!r}")
        return orjson.loads(said)


def populate(port: int, size: int) -> Population:
    slug = f"bench-{size}-{new_id().hex[-8:]}"
    domain = f"{slug}.example"
    tenant = configuration.create_tenant(
        slug=slug, name=slug, domains=[domain], actor=OPERATOR, reason="As agreed"
    )
    where = configuration.create_connection(
        tenant=tenant,
        name="Bench",
        status="active",
        requests_per_minute=0,
        actor=OPERATOR,
        reason="As agreed",
    )
    _, token = issue_token(connection=where, actor=OPERATOR, reason="As agreed")
    people = Population(size, port, token, domain)
    _load(people)
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as line:
        many = [{"value": account} for account in people.accounts[:LARGE_GROUP]]
        people.group = _group(people, line, "Everybody", many)
        people.bare_group = _group(people, line, "Everybody, barely", many)
        people.changing = _group(people, line, "Changing", [])
        people.bare_changing = _group(people, line, "Changing, barely", [])
        people.far_cursor = _walked(people, line)
    return people


def _load(people: Population) -> None:
    """By Bulk requests of BATCH operations, LINES of them at once, as a provisioning client with workers sends them."""
    bodies = [
        orjson.dumps(
            {
                "schemas": [f"{SCIM}:api:messages:2.0:BulkRequest"],
                "Operations": [
                    {"method": "POST", "path": "/Users", "bulkId": str(n), "data": document(n, people.domain)}
                    for n in range(start, min(start + BATCH, people.size))
                ],
            }
        )
        for start in range(0, people.size, BATCH)
    ]
    created: dict[int, list[str]] = {}
    waiting = iter(list(enumerate(bodies)))
    lock = threading.Lock()

    def work() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", people.port, timeout=300)) as line:
            while True:
                with lock:
                    number, body = next(waiting, (-1, b""))
                if number < 0:
                    return
                line.request("POST", "/scim/v2/Bulk", body, people.headers)
                answer = orjson.loads(line.getresponse().read())
                created[number] = [one["location"].rpartition("/")[2] for one in answer["Operations"]]

    started = time.perf_counter()
    lines = [threading.Thread(target=work) for _ in range(LINES)]
    for line in lines:
        line.start()
    for line in lines:
        line.join()
    people.seconds = time.perf_counter() - started
    people.accounts = [account for number in range(len(bodies)) for account in created[number]]


def _group(people: Population, line: http.client.HTTPConnection, name: str, members: list[Any]) -> str:
    body = {"schemas": [f"{SCIM}:schemas:core:2.0:Group"], "displayName": name, "members": members}
    return str(people.asked(line, "POST", "/scim/v2/Groups?excludedAttributes=members", body)["id"])


def _walked(people: Population, line: http.client.HTTPConnection) -> str:
    """The cursor of the page at 99 % of the way."""
    cursor, seen = "", 0
    while seen < people.size * 99 // 100:
        page = people.asked(line, "GET", f"/scim/v2/Users?cursor={cursor}&count=100&attributes=id")
        if "nextCursor" not in page:
            break
        cursor = page["nextCursor"]
        seen += page["itemsPerPage"]
    return cursor
