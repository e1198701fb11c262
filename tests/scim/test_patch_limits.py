"""A PATCH of a whole megabyte ends in less than a second of work, whatever it is made of."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import orjson
import pytest
from scim2_models.exceptions import SCIMException, TooManyException

from scim.membership import People, change_of
from scim.patch import MAX_FILTERS, MAX_OPERATIONS, operations_of, patched
from scim.requests import MAX_BODY
from scim.schemas import GROUP, USER
from tests.scim.clients import USER_URN, Idp

# Of processor time, on a machine that does much else; on a quiet one none takes half a second.
SECONDS = 2.0
ADA: dict[str, Any] = {
    "userName": "ada",
    "emails": [{"value": f"e{n}@x.example", "type": "work"} for n in range(200)],
}
Operations = list[dict[str, Any]]


def many(operation: Callable[[int], dict[str, Any]]) -> Operations:
    return [operation(n) for n in range(MAX_OPERATIONS)]


def one(text: str) -> Operations:
    return [{"op": "remove", "path": text}]


HEAVY: dict[str, Operations] = {
    "one value each": many(
        lambda n: {
            "op": "add",
            "path": "emails",
            "value": [{"value": f"E{n % 150}@x.example", "type": "work"}],
        }
    ),
    "one selected value each": many(
        lambda n: {"op": "replace", "path": f'emails[value eq "e{n % 150}@x.example"].type', "value": "work"}
    ),
    "filters of several terms": many(
        lambda n: {"op": "remove", "path": f'emails[not (value co "{n}z") and (type eq "x" or display pr)]'}
    )[: MAX_FILTERS // 64],
    "lists to remove": many(
        lambda n: {"op": "remove", "path": "emails", "value": [{"value": f"q{n}.{m}"} for m in range(40)]}
    ),
    "a part of every value": many(lambda n: {"op": "replace", "path": "emails.display", "value": f"v{n}"}),
    "keys": [
        {
            "op": "add",
            "value": {
                f'emails[value eq "e{n % 150}@x.example"].{"type" if n % 2 else "Type"}': "x"
                for n in range(900)
            },
        }
    ],
    "keys of unknown schemas": [{"op": "add", "value": {f"urn:x:{n}": "x" for n in range(55_000)}}],
    "thousands of values": [
        {"op": "add", "path": "emails", "value": [{"value": f"e{n}@x.example"} for n in range(30_000)]}
    ],
    "tens of thousands of operations": [{"op": "add", "path": "title", "value": "x"}] * 25_000,
    "tens of thousands of keys": [
        {"op": "add", "value": {f'emails[value eq "{n}"].type': "x" for n in range(25_000)}}
    ],
    "a filter of thousands of terms": one(
        "emails[" + " and ".join(['value eq "x"'] * (MAX_FILTERS // 20)) + "]"
    ),
    "a filter of a megabyte": one("emails[" + " and ".join(['value eq "x"'] * 50_000) + "]"),
    "parentheses": one("emails[" + "(" * 5000 + 'value eq "x"' + ")" * 5000 + "]"),
    "negations": one("emails[" + "not (" * 3000 + 'value eq "x"' + ")" * 3000 + "]"),
    "a long name": one("x" * 900_000),
    "a long name in brackets": one(f'emails[{"x" * 900_000} eq "x"]'),
    "a long string": one(f'emails[value eq "{"x" * 900_000}"]'),
    "a list in a list": [{"op": "add", "value": orjson.loads(b'{"title":' + b"[" * 200 + b"]" * 200 + b"}")}],
}


@pytest.mark.parametrize("operations", HEAVY.values(), ids=HEAVY)
def test_a_patch_of_a_megabyte_ends_soon(operations: Operations) -> None:
    assert len(orjson.dumps(operations)) < MAX_BODY
    started = time.process_time()
    with suppress(SCIMException):
        patched(USER, ADA, operations_of({"Operations": operations}))
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param(
            many(lambda n: {"op": "remove", "path": f'members[value eq "{n:032x}"]'}), id="one member each"
        ),
        pytest.param(
            [{"op": "add", "path": "members", "value": [{"value": f"{n:032x}"} for n in range(20_000)]}],
            id="thousands of members",
        ),
        pytest.param(
            one("members[" + " or ".join(f'value eq "{n:032x}"' for n in range(150)) + "]"),
            id="a filter of many members",
        ),
    ],
)
def test_a_patch_of_many_members_ends_soon(operations: Operations) -> None:
    started = time.process_time()
    change_of(operations_of({"Operations": operations}))
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param(
            many(lambda n: {"op": "remove", "path": f'members[display eq "{n}"]'}), id="one name each"
        ),
        pytest.param(
            one("members[" + " or ".join(f'display co "{n}"' for n in range(190)) + "]"),
            id="many parts of names",
        ),
        pytest.param(
            [
                {"op": "add", "path": "members", "value": [{"value": f"{n:032x}"} for n in range(15_000)]},
                {"op": "remove", "path": "members[display pr]"},
            ],
            id="among many who come",
        ),
    ],
)
def test_asking_a_large_group_ends_soon(operations: Operations) -> None:
    crowd = People(
        held={str(UUID(int=n)): f"person {n}" for n in range(10_000)}, given={}, base="https://hub"
    )
    started = time.process_time()
    with suppress(SCIMException):
        change = change_of(operations_of({"Operations": operations}))
        change.given()
        change.settled(GROUP, {}, crowd)
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize(
    "inside",
    [
        "(" * 40 + "value pr" + ")" * 40,
        " or ".join(["value pr"] * 201),
        f'value eq "{"x" * 9000}" or value pr',
        f'value eq "{"x" * 9000}"',
    ],
    ids=["deep", "many terms", "long", "long and plain"],
)
def test_a_path_says_no_more_than_a_filter(inside: str) -> None:
    with pytest.raises(TooManyException):
        patched(USER, ADA, operations_of({"Operations": one(f"emails[{inside}]")}))


def test_filters_are_limited_for_a_whole_bulk(idp: Idp, db: None) -> None:
    ada = orjson.loads(idp.post("/Users", {"schemas": [USER_URN], "userName": "ada"}).content)["id"]
    heavy = one("emails[" + " or ".join(['value eq "x"'] * 190) + "]")
    light = [{"op": "replace", "path": "title", "value": "x"}]
    operations = [
        {"method": "PATCH", "path": f"/Users/{ada}", "data": {"Operations": steps}}
        for steps in [*[heavy] * 900, light]
    ]
    started = time.process_time()
    results = orjson.loads(idp.post("/Bulk", {"Operations": operations}).content)["Operations"]
    assert time.process_time() - started < 20
    refused = [result for result in results if result["status"] != "200"]
    assert len(refused) > 800
    assert {result["response"]["scimType"] for result in refused} == {"tooMany"}
    assert (results[0]["status"], results[-1]["status"]) == ("200", "200")
