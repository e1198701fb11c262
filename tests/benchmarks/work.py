"""What is measured: each kind of work as a request to the hub, and as one to the bare view of the same work."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.benchmarks.population import LARGE_GROUP, SCIM, Population, document

PAGE = 100
MANY = 1_000

Request = tuple[str, str, Any, int]
"""Method, path, body, the status that it must be answered with."""
Ask = Callable[[Population], Request]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """`heavy` work is done a tenth as often. `must` and `aim` are ratios to the bare view's time, or milliseconds."""

    hub: Ask
    bare: Ask
    must: float
    aim: float
    heavy: bool = False
    in_milliseconds: bool = False

    @property
    def target(self) -> str:
        unit = " ms" if self.in_milliseconds else ""
        return f"{self.must}{unit} / {self.aim}{unit}" if self.must else ""


def _patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [f"{SCIM}:api:messages:2.0:PatchOp"], "Operations": list(operations)}


def get(people: Population) -> Request:
    return "GET", f"/scim/v2/Users/{random.choice(people.accounts)}", None, 200


def bare_get(people: Population) -> Request:
    return "GET", f"/bare/users/{random.choice(people.accounts)}", None, 200


def _filtered(condition: str) -> Request:
    return "GET", f"/scim/v2/Users?filter={quote(condition)}", None, 200


def by_user_name(people: Population) -> Request:
    return _filtered(f'userName eq "person{random.randrange(people.size)}@{people.domain}"')


def by_external_id(people: Population) -> Request:
    return _filtered(f'externalId eq "ext-{random.randrange(people.size)}"')


def by_email(people: Population) -> Request:
    mail = f"person{random.randrange(people.size)}@{people.domain}"
    return _filtered(f'emails[type eq "work"].value eq "{mail}"')


def bare_by(name: str, form: str) -> Ask:
    def ask(people: Population) -> Request:
        value = form.format(number=random.randrange(people.size), domain=people.domain)
        return "GET", f"/bare/users?{name}={quote(value)}", None, 200

    return ask


def create(people: Population) -> Request:
    return "POST", "/scim/v2/Users", document(people.fresh(), people.domain), 201


def bare_create(people: Population) -> Request:
    return "POST", "/bare/users", document(people.fresh(), people.domain), 201


def _somebody(people: Population, work: str) -> tuple[str, int]:
    """The same person twice in a row: switched off, then on again, so that every request changes something."""
    turn = people.turn(work)
    return people.accounts[turn // 2 % 400], turn


def patch_active(people: Population) -> Request:
    who, turn = _somebody(people, "patch")
    operation = {"op": "replace", "path": "active", "value": bool(turn % 2)}
    return "PATCH", f"/scim/v2/Users/{who}", _patch(operation), 200


def bare_patch(people: Population) -> Request:
    who, turn = _somebody(people, "bare patch")
    return "PATCH", f"/bare/users/{who}", {"active": bool(turn % 2)}, 200


def put(people: Population) -> Request:
    turn = people.turn("put")
    number = turn % 400 + 400
    said = document(number, people.domain) | {"title": f"Title {turn}"}
    return "PUT", f"/scim/v2/Users/{people.accounts[number]}", said, 200


def bare_put(people: Population) -> Request:
    turn = people.turn("bare put")
    number = turn % 400 + 400
    said = document(number, people.domain) | {"title": f"Title {turn}"}
    return "PUT", f"/bare/users/{people.accounts[number]}", said, 200


def first_page(people: Population) -> Request:
    return "GET", f"/scim/v2/Users?cursor=&count={PAGE}", None, 200


def far_page(people: Population) -> Request:
    return "GET", f"/scim/v2/Users?cursor={people.far_cursor}&count={PAGE}", None, 200


def counted_page(people: Population) -> Request:
    return "GET", f"/scim/v2/Users?count={PAGE}", None, 200


def bare_page(people: Population) -> Request:
    return "GET", f"/bare/users?count={PAGE}", None, 200


def one_member(people: Population) -> Request:
    # He comes and leaves, so that every request changes something.
    member = people.accounts[-1]
    operation: dict[str, Any] = {"op": "add", "path": "members", "value": [{"value": member}]}
    if people.turn("member") % 2:
        operation = {"op": "remove", "path": f'members[value eq "{member}"]'}
    return "PATCH", f"/scim/v2/Groups/{people.group}", _patch(operation), 204


def bare_one_member(people: Population) -> Request:
    change = {"remove" if people.turn("bare member") % 2 else "add": [people.accounts[-1]]}
    return "PATCH", f"/bare/groups/{people.bare_group}", change, 204


def many_members(op: str, wanted: int) -> Work:
    """In WORK those who take them away follow those who bring them, so that every request changes something."""

    def ask(people: Population) -> Request:
        members = [{"value": member} for member in people.accounts[:MANY]]
        operation = {"op": op, "path": "members", "value": members}
        return "PATCH", f"/scim/v2/Groups/{people.changing}", _patch(operation), wanted

    def bare(people: Population) -> Request:
        return "PATCH", f"/bare/groups/{people.bare_changing}", {op: people.accounts[:MANY]}, 204

    return Work(hub=ask, bare=bare, must=60, aim=30, heavy=True, in_milliseconds=True)


def group(people: Population) -> Request:
    return "GET", f"/scim/v2/Groups/{people.group}", None, 200


def bare_group(people: Population) -> Request:
    return "GET", f"/bare/groups/{people.bare_group}", None, 200


def group_alone(people: Population) -> Request:
    return "GET", f"/scim/v2/Groups/{people.group}?excludedAttributes=members", None, 200


def bare_group_alone(people: Population) -> Request:
    return "GET", f"/bare/groups/{people.bare_group}?members=no", None, 200


WORK: dict[str, Work] = {
    "GET by id": Work(hub=get, bare=bare_get, must=1.5, aim=2.6),
    "look-up by userName": Work(
        hub=by_user_name, bare=bare_by("userName", "person{number}@{domain}"), must=1.0, aim=2.0
    ),
    "look-up by externalId": Work(
        hub=by_external_id, bare=bare_by("externalId", "ext-{number}"), must=1.0, aim=2.0
    ),
    "look-up by e-mail": Work(
        hub=by_email, bare=bare_by("email", "person{number}@{domain}"), must=1.0, aim=2.0
    ),
    "create": Work(hub=create, bare=bare_create, must=0.5, aim=0.8),
    "PATCH active": Work(hub=patch_active, bare=bare_patch, must=0.6, aim=1.1),
    "PUT": Work(hub=put, bare=bare_put, must=0.6, aim=1.0),
    f"list page of {PAGE}, first, by cursor": Work(hub=first_page, bare=bare_page, must=1.0, aim=2.0),
    f"list page of {PAGE}, last, by cursor": Work(hub=far_page, bare=bare_page, must=1.0, aim=2.0),
    f"list page of {PAGE}, first, counted": Work(hub=counted_page, bare=bare_page, must=0, aim=0),
    f"PATCH one member into {LARGE_GROUP:,}": Work(hub=one_member, bare=bare_one_member, must=0.4, aim=0.7),
    # Of a large group nothing is sent back.
    f"PATCH {MANY:,} members into a group": many_members("add", 204),
    f"PATCH {MANY:,} members out of a group": many_members("remove", 200),
    f"GET group of {LARGE_GROUP:,}": Work(hub=group, bare=bare_group, must=0.8, aim=1.5, heavy=True),
    "GET group without members": Work(hub=group_alone, bare=bare_group_alone, must=0.8, aim=1.0),
}
