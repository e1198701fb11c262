"""Requests that arrive together: one person stays one person, and no change is lost."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from django.http import HttpResponse

from provisioning.models import Account, Identity
from provisioning.services import configuration
from tests.provisioning.cast import OPERATOR
from tests.scim.clients import Idp, an_idp

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def idp(transactional_db: None) -> Idp:
    return an_idp("acme")


def at_once(count: int, send: Callable[[int], HttpResponse]) -> list[HttpResponse]:
    """Sends `count` requests from as many threads, none before all are ready."""
    ready = Barrier(count)

    def one(number: int) -> HttpResponse:
        try:
            ready.wait(timeout=30)
            return send(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))


@pytest.mark.parametrize(
    "names",
    [["ada"] * 20, ["ada", "ADA"] * 10, [f"ada{number}" for number in range(20)]],
    ids=["the same", "in other letters", "one key under twenty names"],
)
def test_twenty_posts_of_one_person_make_one(idp: Idp, names: list[str]) -> None:
    answers = at_once(20, lambda n: idp.post("/Users", {"userName": names[n], "externalId": "7"}))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}
    assert Account.objects.count() == Identity.objects.count() == 1


def test_patches_of_one_user_do_not_lose_each_other(idp: Idp) -> None:
    path = f"/Users/{idp.person('ada')['id']}"
    names = ["title", "nickName", "locale", "userType"]

    def patch(number: int) -> HttpResponse:
        return idp.patch(path, {"op": "replace", "path": names[number], "value": "x"})

    assert {answer.status_code for answer in at_once(4, patch)} == {200}
    shown = idp.get(path).json()
    assert [shown.get(name) for name in names] == ["x"] * 4
    assert shown["meta"]["version"] == 'W/"5"'


def test_members_added_together_are_all_there(idp: Idp) -> None:
    people = [idp.person(f"p{number}")["id"] for number in range(12)]
    path = f"/Groups/{idp.group('Staff')['id']}"

    def add(number: int) -> HttpResponse:
        value: list[dict[str, Any]] = [{"value": people[number]}]
        return idp.patch(path, {"op": "add", "path": "members", "value": value})

    assert {answer.status_code for answer in at_once(12, add)} == {200}
    assert {member["value"] for member in idp.get(path).json()["members"]} == set(people)


def test_of_two_writers_with_one_version_one_wins(idp: Idp) -> None:
    path = f"/Users/{idp.person('ada')['id']}"
    headers = {"If-Match": 'W/"1"'}

    def put(number: int) -> HttpResponse:
        return idp.put(path, {"userName": "ada", "title": str(number)}, headers=headers)

    assert Counter(answer.status_code for answer in at_once(4, put)) == {200: 1, 412: 3}


@pytest.mark.parametrize("limit", [None, 100])
@pytest.mark.parametrize("size", [20, 80], ids=["each key locked", "the tenant locked"])
def test_bulk_jobs_of_the_same_people_make_each_once(idp: Idp, size: int, limit: int | None) -> None:
    def load(number: int) -> HttpResponse:
        names = [f"p{n}" for n in range(size)]
        operations = [
            {"method": "POST", "path": "/Users", "bulkId": name, "data": {"userName": name}}
            for name in (names if number % 2 else reversed(names))
        ]
        return idp.post("/Bulk", {"Operations": operations, "failOnErrors": limit})

    answers = at_once(4, load)
    assert {answer.status_code for answer in answers} == {200}
    ended = Counter(one["status"] for answer in answers for one in answer.json()["Operations"])
    assert ended == {"201": size, "409": 3 * size}
    assert Account.objects.count() == Identity.objects.count() == size


def test_bulk_jobs_do_not_lose_what_others_change(idp: Idp) -> None:
    people = [idp.person(f"p{number}")["id"] for number in range(8)]
    names = ["title", "nickName", "locale", "userType"]

    def patch(number: int) -> HttpResponse:
        step = {"op": "replace", "path": names[number], "value": "x"}
        operations = [
            {"method": "PATCH", "path": f"/Users/{one}", "data": {"Operations": [step]}}
            for one in (people if number % 2 else reversed(people))
        ]
        return idp.post("/Bulk", {"Operations": operations})

    answers = at_once(4, patch)
    assert {one["status"] for answer in answers for one in answer.json()["Operations"]} == {"200"}
    for one in people:
        shown = idp.get(f"/Users/{one}").json()
        assert [shown.get(name) for name in names] == ["x"] * 4


def test_deactivations_at_once_go_no_further_than_a_strict_connection_allows(idp: Idp) -> None:
    """By themselves and in a Bulk, which has those that change and those that delete in one transaction each."""
    configuration.change_connection(
        connection=idp.connection,
        changes={"burst_deactivations": 3, "strict_deactivations": True},
        actor=OPERATOR,
        reason="As agreed",
    )
    people = idp.crowd(12)
    off = {"op": "replace", "path": "active", "value": False}

    def leave(number: int) -> HttpResponse:
        first, second = people[2 * number : 2 * number + 2]
        if number % 2:
            return idp.patch(f"/Users/{first}", off)
        change = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [off]}
        operations = [
            {"method": "PATCH", "path": f"/Users/{first}", "data": change},
            {"method": "DELETE", "path": f"/Users/{second}"},
        ]
        return idp.post(
            "/Bulk",
            {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations},
        )

    told = []
    for number, answer in enumerate(at_once(6, leave)):
        operations = [{"status": answer.status_code}] if number % 2 else answer.json()["Operations"]
        told += [int(operation["status"]) for operation in operations]
    assert Counter(status // 100 for status in told) == {2: 3, 5: 6}
    assert Identity.objects.with_state().filter(enabled=True).count() == 9
