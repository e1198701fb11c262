"""Many operations in one request: what each comes to, in which order, and what it costs."""

import itertools
import json
import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from scim2_models import BulkResponse, Context, Group, User

import scim.bulk
from provisioning.models import Account, AuditRecord, DirectoryGroup, Identity, Membership
from scim.bulk import MAX_PAYLOAD
from scim.bulk_plan import MAX_OPERATIONS
from tests.scim.clients import ENTERPRISE_URN, ERROR_URN, PATCH_URN, USER_URN, Idp, error_of

pytestmark = pytest.mark.django_db

REQUEST_URN = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
RESPONSE_URN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"

Operation = dict[str, Any]


def send(idp: Idp, *operations: Any, **more: Any) -> HttpResponse:
    return idp.post("/Bulk", {"schemas": [REQUEST_URN], "Operations": list(operations), **more})


def bulk(idp: Idp, *operations: Any, **more: Any) -> list[dict[str, Any]]:
    answer = send(idp, *operations, **more)
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body["schemas"] == [RESPONSE_URN]
    BulkResponse[User | Group].model_validate(body, scim_ctx=Context.BULK_RESPONSE)
    found: list[dict[str, Any]] = body["Operations"]
    return found


def post(name: str, bulk_id: str = "", **attributes: Any) -> Operation:
    data = {"schemas": [USER_URN], "userName": name, **attributes}
    return {"method": "POST", "path": "/Users", "bulkId": bulk_id or name, "data": data}


def group(name: str, *members: str, **attributes: Any) -> Operation:
    data = {"displayName": name, "members": [{"value": member} for member in members], **attributes}
    return {"method": "POST", "path": "/Groups", "bulkId": name, "data": data}


def put(path: str, data: Any, **more: Any) -> Operation:
    return {"method": "PUT", "path": path, "data": data, **more}


def patch(path: str, *steps: Any, **more: Any) -> Operation:
    return {
        "method": "PATCH",
        "path": path,
        "data": {"schemas": [PATCH_URN], "Operations": list(steps)},
        **more,
    }


def delete(path: str, **more: Any) -> Operation:
    return {"method": "DELETE", "path": path, **more}


def switch(active: bool) -> dict[str, Any]:
    return {"op": "replace", "path": "active", "value": active}


def manager(name: str) -> dict[str, Any]:
    return {ENTERPRISE_URN: {"manager": {"value": name}}}


def joining(name: str) -> dict[str, Any]:
    return {"op": "add", "path": "members", "value": [{"value": name}]}


def statuses(results: list[dict[str, Any]]) -> list[str]:
    return [one["status"] for one in results]


def id_of(result: dict[str, Any]) -> str:
    found: str = result["location"].rpartition("/")[2]
    return found


def manager_of(idp: Idp, user_id: str) -> str:
    found: str = idp.get(f"/Users/{user_id}").json()[ENTERPRISE_URN]["manager"]["value"]
    return found


def members_of(idp: Idp, group_id: str) -> set[str]:
    return {one["value"] for one in idp.get(f"/Groups/{group_id}").json().get("members", [])}


# What each operation is answered


def test_every_method_is_answered_as_the_rfc_shows(idp: Idp) -> None:
    """RFC 7644 3.7: location "REQUIRED in a response, except in the event of a POST failure", status as a string."""
    ada, bob = idp.person("ada"), idp.person("bob")
    results = bulk(
        idp,
        post("cy", "qwerty"),
        put(f"/Users/{ada['id']}", {"userName": "ada", "title": "x"}, version=ada["meta"]["version"]),
        patch(f"/Users/{bob['id']}", switch(False)),
        post("bob", "taken"),
        delete("/Users/nobody"),
    )
    created = results[0]
    root = ada["meta"]["location"].rpartition("/")[0]
    assert results == [
        {
            "location": created["location"],
            "method": "POST",
            "bulkId": "qwerty",
            "version": 'W/"1"',
            "status": "201",
        },
        {"location": ada["meta"]["location"], "method": "PUT", "version": 'W/"2"', "status": "200"},
        {"location": bob["meta"]["location"], "method": "PATCH", "version": 'W/"2"', "status": "200"},
        {
            "method": "POST",
            "bulkId": "taken",
            "status": "409",
            "response": {
                "schemas": [ERROR_URN],
                "status": "409",
                "scimType": "uniqueness",
                "detail": "Another user of this connection has this userName.",
            },
        },
        {
            "location": f"{root}/nobody",
            "method": "DELETE",
            "status": "404",
            "response": {"schemas": [ERROR_URN], "status": "404", "detail": "There is no such user."},
        },
    ]
    for result in results[:3]:
        shown = idp.get(f"/Users/{id_of(result)}").json()
        assert shown["meta"]["location"] == result["location"]
        assert shown["meta"]["version"] == result["version"]
    assert idp.get(f"/Users/{ada['id']}").json()["title"] == "x"
    assert idp.get(f"/Users/{bob['id']}").json()["active"] is False


def test_groups_are_written_like_users(idp: Idp) -> None:
    staff, crew = idp.group("Staff"), idp.group("Crew")
    results = bulk(
        idp,
        group("Club"),
        put(f"/Groups/{staff['id']}", {"displayName": "All"}),
        patch(f"/groups/{staff['id']}", {"op": "replace", "path": "displayName", "value": "Most"}),
        delete(f"/Groups/{crew['id']}"),
        group("Nested", staff["id"]),
    )
    assert statuses(results) == ["201", "200", "200", "204", "400"]
    assert [one.get("version") for one in results] == ['W/"1"', 'W/"2"', 'W/"3"', None, None]
    assert idp.get(f"/Groups/{staff['id']}").json()["displayName"] == "Most"
    assert {one.display_name for one in DirectoryGroup.objects.all()} == {"Most", "Club"}


def test_what_is_wrong_with_one_is_its_own_matter(idp: Idp) -> None:
    """RFC 7644 3.7: "continue performing as many changes as possible and disregard partial failures"."""
    results = bulk(
        idp,
        post("ada"),
        {"method": "POST", "path": "/Users", "bulkId": "x", "data": {"displayName": "nameless"}},
        post("ada", "again"),
        post("bob", emails=[{"value": 7}]),
        post("cy"),
    )
    assert statuses(results) == ["201", "400", "409", "400", "201"]
    assert set(Account.objects.values_list("user_name", flat=True)) == {"ada", "cy"}
    assert Identity.objects.filter(user_name__in=["ada", "cy"]).count() == 2
    refused = AuditRecord.objects.filter(verdict="refused")
    assert [one.reason for one in refused] == ["account:user-name-taken"], "a refusal stays on record"


BAD: dict[str, tuple[Any, str, str | None]] = {
    "no object": ("x", "400", "invalidSyntax"),
    "no method": ({"path": "/Users"}, "400", "invalidValue"),
    "a read": ({"method": "GET", "path": "/Users"}, "400", "invalidValue"),
    "a method that is no text": ({"method": 7, "path": "/Users"}, "400", "invalidValue"),
    "no path": ({"method": "POST", "bulkId": "x", "data": {}}, "400", "invalidValue"),
    "nothing there": ({"method": "POST", "path": "/Cars", "bulkId": "x", "data": {}}, "404", None),
    "too deep": (delete("/Users/x/y"), "404", None),
    "itself": ({"method": "POST", "path": "/Bulk", "bulkId": "x", "data": {}}, "404", None),
    "the root": (delete("/"), "404", None),
    "a POST to one": ({"method": "POST", "path": "/Users/x", "bulkId": "x", "data": {}}, "405", None),
    "a DELETE of all": (delete("/Users"), "405", None),
    "a PUT of all": (put("/Groups", {"displayName": "x"}), "405", None),
    "what nobody writes": (delete("/Roles/x"), "405", None),
    "a POST without bulkId": ({"method": "POST", "path": "/Users", "data": {}}, "400", "invalidValue"),
    "a bulkId that is no text": (
        {"method": "POST", "path": "/Users", "bulkId": 7, "data": {}},
        "400",
        "invalidValue",
    ),
    "no data": ({"method": "POST", "path": "/Users", "bulkId": "x"}, "400", "invalidSyntax"),
    "data that is no object": (put("/Users/x", []), "404", None),
    "a name that nobody has": (post("ada", **manager("bulkId:ghost")), "400", "invalidValue"),
    "a path that nobody has": (delete("/Users/bulkId:ghost"), "400", "invalidValue"),
    "an unknown attribute": (post("ada", colour="blue"), "400", "invalidSyntax"),
}


@pytest.mark.parametrize(("operation", "status", "scim_type"), BAD.values(), ids=BAD)
def test_an_operation_that_means_nothing_fails_alone(
    idp: Idp, operation: Any, status: str, scim_type: str | None
) -> None:
    answer = send(idp, operation, post("fine"))
    assert answer.status_code == 200
    bad, fine = answer.json()["Operations"]
    assert (bad["status"], bad["response"].get("scimType")) == (status, scim_type)
    assert bad["response"]["detail"]
    assert fine["status"] == "201"


REFUSED: dict[str, tuple[Any, int, str | None]] = {
    "a list": ([], 400, "invalidSyntax"),
    "no operations": ({}, 400, "invalidSyntax"),
    "an empty list": ({"Operations": []}, 400, "invalidSyntax"),
    "operations that are no list": ({"Operations": {"method": "POST"}}, 400, "invalidSyntax"),
    "a limit that is no number": ({"Operations": [post("ada")], "failOnErrors": "1"}, 400, "invalidValue"),
}


@pytest.mark.parametrize(("body", "status", "scim_type"), REFUSED.values(), ids=REFUSED)
def test_a_message_that_means_nothing_is_refused(
    idp: Idp, body: Any, status: int, scim_type: str | None
) -> None:
    assert error_of(idp.post("/Bulk", body)) == (status, scim_type)
    assert not Account.objects.exists()


def test_only_a_post_and_only_with_a_token(idp: Idp) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert error_of(idp.send(method, "/Bulk")) == (405, None)
    wrong = {"Authorization": "Bearer wrong"}
    assert error_of(idp.send("POST", "/Bulk", raw=b"{", headers=wrong)) == (401, None)


def test_names_are_read_in_any_case(idp: Idp) -> None:
    ada = idp.person("ada")
    operation = {
        "METHOD": "Patch",
        "Path": f"users/{ada['id']}?attributes=id",
        "DATA": {"operations": [switch(False)]},
    }
    body = {"operations": [operation], "FAILONERRORS": None}
    (result,) = idp.post("/bulk/", body).json()["Operations"]
    assert (result["method"], result["status"]) == ("PATCH", "200")
    # RFC 7644 3.7.3 shows the operations of a PATCH without the message around them; and an address may be whole.
    bare = {"method": "PATCH", "path": ada["meta"]["location"], "data": [switch(True)]}
    assert statuses(bulk(idp, bare)) == ["200"]
    assert idp.get(f"/Users/{ada['id']}").json()["active"] is True


@pytest.mark.parametrize("make", [put, patch, delete])
@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_a_version_is_if_match(idp: Idp, kind: str, make: Callable[..., Operation]) -> None:
    """RFC 7644 3.7: version "MAY be used if the service provider supports entity-tags (ETags)" """
    one = idp.person("ada") if kind == "Users" else idp.group("ada")
    path = f"/{kind}/{one['id']}"
    named = {"userName": "eve"} if kind == "Users" else {"displayName": "eve"}
    step = {"op": "replace", "value": named}
    given = {put: (named,), patch: (step,), delete: ()}[make]
    (old,) = bulk(idp, make(path, *given, version='W/"7"'))
    assert (old["status"], old["location"]) == ("412", one["meta"]["location"])
    assert idp.get(path).json() == one
    (right,) = bulk(idp, make(path, *given, version=one["meta"]["version"]))
    assert right["status"] == ("204" if make is delete else "200")


def test_a_scope_is_asked_for_by_each_operation(idp: Idp) -> None:
    ada, staff = idp.person("ada"), idp.group("Staff")
    operations = [
        post("bob"),
        patch(f"/Users/{ada['id']}", switch(False)),
        group("Club"),
        patch(f"/Groups/{staff['id']}", joining(ada["id"])),
        delete(f"/Users/{ada['id']}"),
    ]
    for scope, expected in (
        ("read", ["403", "403", "403", "403", "403"]),
        ("groups", ["403", "403", "201", "200", "403"]),
        ("users", ["201", "200", "403", "403", "204"]),
    ):
        idp.connection.tokens.update(scopes=[scope])
        assert statuses(bulk(idp, *operations)) == expected


def test_nobody_reaches_another_tenant(idp: Idp, other: Idp) -> None:
    eve = other.person("eve")
    path = f"/Users/{eve['id']}"
    operations = [put(path, {"userName": "x"}), patch(path, switch(False)), delete(path)]
    assert statuses(bulk(idp, *operations, group("Staff", eve["id"]))) == ["404", "404", "404", "400"]
    assert other.get(path).json() == eve


# References


def test_references_are_resolved_in_any_order(idp: Idp) -> None:
    """RFC 7644 3.7.2: "replace the string "bulkId:{bulkId}" with the permanent resource id once created"."""
    results = bulk(
        idp,
        group("Staff", "bulkId:ada", "bulkId:bob"),
        patch("/Users/bulkId:bob", {"op": "add", "path": "title", "value": "x"}),
        post("ada", **manager("bulkId:bob")),
        patch(
            "/Groups/bulkId:Staff",
            {"op": "remove", "path": 'members[value eq "bulkId:bob"]'},
            joining("bulkId:cy"),
        ),
        post("bob"),
        post(
            "cy", **{f"{ENTERPRISE_URN}": {"manager": {"value": "bulkId:ada", "$ref": "../Users/bulkId:ada"}}}
        ),
    )
    assert statuses(results) == ["201", "200", "201", "200", "201", "201"]
    staff, ada, bob, cy = (id_of(results[n]) for n in (0, 2, 4, 5))
    assert members_of(idp, staff) == {ada, cy}
    assert manager_of(idp, ada) == bob
    assert idp.get(f"/Users/{cy}").json()[ENTERPRISE_URN]["manager"] == {
        "value": ada,
        "$ref": f"../Users/{ada}",
    }
    assert idp.get(f"/Users/{bob}").json()["title"] == "x"
    assert results[1]["location"] == results[4]["location"]


@pytest.mark.parametrize("limit", [None, 1])
def test_people_who_refer_to_each_other_are_created(idp: Idp, limit: int | None) -> None:
    """RFC 7644 3.7.1: "The service provider MUST try to resolve circular cross-references"."""
    results = bulk(
        idp,
        post("ada", **manager("bulkId:bob")),
        post("bob", **manager("bulkId:cy")),
        post("cy", **manager("bulkId:ada")),
        post("eve", **manager("bulkId:eve")),
        post("fay", **manager("bulkId:ada")),
        failOnErrors=limit,
    )
    assert statuses(results) == ["201"] * 5
    ada, bob, cy, eve, fay = map(id_of, results)
    assert [manager_of(idp, one) for one in (ada, bob, cy, eve, fay)] == [bob, cy, ada, eve, ada]


def test_a_person_and_a_group_that_refer_to_each_other_are_created(idp: Idp) -> None:
    results = bulk(idp, group("Staff", "bulkId:ada"), post("ada", groups=[{"value": "bulkId:Staff"}]))
    assert statuses(results) == ["201", "201"]
    assert members_of(idp, id_of(results[0])) == {id_of(results[1])}


def test_groups_in_a_circle_are_refused(idp: Idp) -> None:
    """RFC 7644 3.7.1: it "MAY stop after a failed attempt and instead return the status code 409 (Conflict)"."""
    results = bulk(idp, group("A", "bulkId:B"), group("B", "bulkId:A"), post("ada"))
    assert statuses(results) == ["400", "409", "201"]
    assert not DirectoryGroup.objects.exists()


def twisted() -> list[Operation]:
    """Creations of one run: with the last one that fails gone, the next one meets its conflict."""
    operations = [post("bob", "T0")]
    for n in range(1, 40):
        operations += [
            post(f"x{n}", f"A{n}", **manager(f"bulkId:T{n - 1}")),
            post(f"x{n}", f"B{n}", externalId=f"e{n}"),
            post(f"t{n}", f"T{n}", externalId=f"e{n}"),
        ]
    return operations


def test_however_conflicts_follow_from_each_other_each_is_told(
    idp: Idp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: each attempt at all of them brings but one conflict to light, and there are hundreds."""
    idp.person("bob")
    attempts = itertools.count()
    monkeypatch.setattr(scim.bulk, "monotonic", lambda: next(attempts) and 0)
    results = bulk(idp, *twisted())
    assert statuses(results) == ["409"] + ["409", "201", "409"] * 39
    assert next(attempts) < len(results) + 10


def test_a_tangle_of_references_ends_soon(idp: Idp) -> None:
    """Attack: a hundred thousand references, and nothing that they lead to can be."""
    near = range(-60, 60)
    tangle = [
        group(f"g{n}", *(f"bulkId:g{n + m}" for m in near if 0 <= n + m < MAX_OPERATIONS))
        for n in range(MAX_OPERATIONS)
    ]
    started = time.process_time()
    results = bulk(idp, *tangle)
    assert time.process_time() - started < 15
    assert set(statuses(results)) == {"400", "409"}


def test_a_job_ends_in_time(idp: Idp, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has not come to by then may be sent again."""
    seconds = itertools.count(step=9)
    monkeypatch.setattr(scim.bulk, "monotonic", lambda: next(seconds))
    results = bulk(idp, *[group(f"g{n}") for n in range(5)])
    assert statuses(results) == ["201", "201", "503", "503", "503"]
    assert results[-1]["response"]["detail"] == "20 s were over before this could be done."
    assert DirectoryGroup.objects.count() == 2


def test_what_refers_to_a_failure_fails(idp: Idp) -> None:
    idp.person("bob")
    results = bulk(
        idp,
        post("ada", **manager("bulkId:bob")),
        group("Staff", "bulkId:ada", "bulkId:cy"),
        post("bob"),
        post("cy"),
        patch("/Users/bulkId:bob", switch(False)),
        group("Crew", "bulkId:cy"),
    )
    assert statuses(results) == ["409", "409", "409", "201", "409", "201"]
    assert results[0]["response"]["detail"] == "bulkId:bob: the operation that creates it has failed."
    assert "scimType" not in results[0]["response"]
    assert results[2]["response"]["scimType"] == "uniqueness"
    assert set(Account.objects.values_list("user_name", flat=True)) == {"bob", "cy"}
    assert AuditRecord.objects.filter(reason="account:created").count() == 2, "nothing of Ada"


def test_a_circle_of_people_with_a_failure_fails_around(idp: Idp) -> None:
    idp.person("bob")
    results = bulk(
        idp,
        post("ada", **manager("bulkId:bob")),
        post("bob", **manager("bulkId:ada")),
        post("cy", **manager("bulkId:ada")),
        post("eve"),
    )
    assert statuses(results) == ["409", "409", "409", "201"]
    assert set(Account.objects.values_list("user_name", flat=True)) == {"bob", "eve"}


def test_who_comes_back_is_referred_to_by_the_id_that_she_has(idp: Idp) -> None:
    """A POST that meets somebody inactive brings her back under the same id (row 16)."""
    ada = idp.person("ada", externalId="k", active=False)
    results = bulk(
        idp,
        post("bob", **manager("bulkId:ada")),
        post("ada", externalId="k", **manager("bulkId:bob")),
        group("Staff", "bulkId:ada", "bulkId:bob"),
    )
    assert statuses(results) == ["201", "201", "201"]
    bob = id_of(results[0])
    assert id_of(results[1]) == ada["id"]
    assert manager_of(idp, bob) == ada["id"]
    assert manager_of(idp, ada["id"]) == bob
    assert members_of(idp, id_of(results[2])) == {ada["id"], bob}
    assert AuditRecord.objects.filter(reason="account:reactivated").count() == 1, (
        "what was undone left nothing"
    )


def test_a_bulk_id_names_one_resource(idp: Idp) -> None:
    """RFC 7644 3.7: bulkId is "unique within a bulk request"."""
    results = bulk(idp, post("ada", "x"), post("bob", "x"), group("Staff", "bulkId:x"))
    assert statuses(results) == ["201", "400", "201"]
    assert members_of(idp, id_of(results[2])) == {id_of(results[0])}


def test_a_text_that_only_looks_like_a_reference_is_kept(idp: Idp) -> None:
    results = bulk(idp, post("ada", title="see bulkId:bob", displayName='"bulkId:zz"'), post("bob"))
    assert statuses(results) == ["201", "201"]
    shown = idp.get(f"/Users/{id_of(results[0])}").json()
    assert (shown["title"], shown["displayName"]) == ("see bulkId:bob", '"bulkId:zz"')


def test_a_long_chain_of_references_is_walked(idp: Idp) -> None:
    chain = [post(f"p{n}", **manager(f"bulkId:p{n + 1}")) for n in range(99)] + [post("p99")]
    results = bulk(idp, *chain)
    assert statuses(results) == ["201"] * 100
    ids = [id_of(one) for one in results]
    assert [manager_of(idp, ids[n]) for n in (0, 50, 98)] == [ids[1], ids[51], ids[99]]


def test_an_absurdly_deep_document_is_no_end(idp: Idp) -> None:
    deep: Any = "bulkId:ada"
    for _ in range(500):
        deep = {"value": deep}
    bob = {"method": "POST", "path": "/Users", "bulkId": "bob", "data": {"userName": "bob", "name": deep}}
    raw = json.dumps({"Operations": [post("ada"), bob]}).encode()
    answer = idp.send("POST", "/Bulk", raw=raw)
    assert statuses(answer.json()["Operations"]) == ["201", "201"], "unknown sub-attributes are passed over"


# Order


def test_effects_are_those_of_one_after_the_other(idp: Idp) -> None:
    ada = idp.person("ada", externalId="a")
    path = f"/Users/{ada['id']}"
    results = bulk(
        idp,
        patch(path, {"op": "replace", "path": "title", "value": "1"}),
        put(path, {"userName": "ada", "title": "2"}),
        patch(path, {"op": "add", "path": "nickName", "value": "3"}),
        post("ada", "too-early"),
        patch(path, {"op": "replace", "path": "userName", "value": "eve"}),
        post("ada", "in-time"),
        delete(path),
        delete(path),
        patch(path, switch(False)),
        post("eve", "too"),
    )
    assert statuses(results) == ["200", "200", "200", "409", "200", "201", "204", "404", "404", "201"]
    assert [one.get("version") for one in results[:5]] == ['W/"2"', 'W/"3"', 'W/"4"', None, 'W/"5"']
    assert set(Account.objects.filter(deleted_at=None).values_list("user_name", flat=True)) == {"ada", "eve"}


def test_a_name_wanders_from_one_to_the_next(idp: Idp) -> None:
    ada, bob, cy = (idp.person(name, externalId=name)["id"] for name in ("ada", "bob", "cy"))

    def rename(who: str, name: str, key: str) -> Operation:
        return patch(f"/Users/{who}", {"op": "replace", "value": {"userName": name, "externalId": key}})

    results = bulk(idp, rename(ada, "eve", "e"), rename(bob, "ada", "ada"), rename(cy, "bob", "eve"))
    assert statuses(results) == ["200", "200", "200"]
    assert statuses(bulk(idp, rename(ada, "x", "x"), rename(bob, "x", "y"), rename(cy, "y", "x"))) == [
        "200",
        "409",
        "409",
    ]
    names = dict(Account.objects.values_list("user_name", "external_id"))
    assert names == {"x": "x", "ada": "ada", "bob": "eve"}


def test_a_group_does_not_learn_of_somebody_too_early(idp: Idp) -> None:
    ada, staff = idp.person("ada")["id"], idp.group("Staff")["id"]
    results = bulk(
        idp,
        patch(f"/Groups/{staff}", joining(ada)),
        post("bob"),
        patch(f"/Groups/{staff}", joining("bulkId:bob")),
        delete(f"/Users/{ada}"),
        patch(f"/Groups/{staff}", joining(ada)),
        post("ada"),
    )
    assert statuses(results) == ["200", "201", "200", "204", "400", "201"]
    assert members_of(idp, staff) == {id_of(results[1])}


# failOnErrors


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (1, ["201", "409"]),
        (2, ["201", "409", "201", "400"]),
        (3, ["201", "409", "201", "400", "201", "404"]),
        (4, ["201", "409", "201", "400", "201", "404", "201"]),
        (0, ["201", "409", "201", "400", "201", "404", "201"]),
        (None, ["201", "409", "201", "400", "201", "404", "201"]),
    ],
)
def test_errors_end_the_job(idp: Idp, limit: int | None, expected: list[str]) -> None:
    """RFC 7644 3.7: "the number of errors that the service provider will accept before the operation is terminated"."""
    idp.person("taken")
    results = bulk(
        idp,
        post("ada"),
        post("taken"),
        post("bob"),
        post("cy", active="maybe"),
        post("dan"),
        delete("/Users/nobody"),
        post("eve"),
        failOnErrors=limit,
    )
    assert statuses(results) == expected
    names = set(Account.objects.values_list("user_name", flat=True)) - {"taken"}
    done = ["ada", None, "bob", None, "dan", None, "eve"][: len(expected)]
    assert names == {name for name in done if name}
    # What was tried beyond the end left nothing, and what was refused is on record once.
    assert AuditRecord.objects.filter(reason="account:created").count() == len(names) + 1
    assert AuditRecord.objects.filter(reason="account:user-name-taken").count() == 1
    assert Identity.objects.filter(user_name="eve").exists() == ("eve" in names)


def test_an_end_keeps_the_order(idp: Idp) -> None:
    """What comes after the last error that is accepted is not done, whatever it is."""
    staff = idp.group("Staff")["id"]
    results = bulk(
        idp,
        post("ada"),
        patch(f"/Groups/{staff}", joining("bulkId:ada")),
        post("ada", "again"),
        post("bob"),
        patch(f"/Groups/{staff}", joining("bulkId:bob")),
        failOnErrors=1,
    )
    assert statuses(results) == ["201", "200", "409"]
    assert list(Account.objects.values_list("user_name", flat=True)) == ["ada"]


def test_what_waits_may_be_left_out(idp: Idp) -> None:
    results = bulk(
        idp, group("Staff", "bulkId:bob"), post("ada"), post("ada", "x"), post("bob"), failOnErrors=1
    )
    assert [one["bulkId"] for one in results] == ["ada", "x"]
    assert not DirectoryGroup.objects.exists()


# Limits


def test_the_limits_are_those_that_are_advertised(idp: Idp) -> None:
    """RFC 7644 3.7.4: "If either limit is exceeded, the service provider MUST return HTTP response code 413"."""
    told = idp.get("/ServiceProviderConfig").json()["bulk"]
    assert told == {"supported": True, "maxOperations": MAX_OPERATIONS, "maxPayloadSize": MAX_PAYLOAD}
    answer = send(idp, *[delete("/Users/x")] * (MAX_OPERATIONS + 1))
    assert error_of(answer) == (413, None)
    # "The returned response MUST specify the limit exceeded in the body of the error response."
    assert f"maxOperations is {MAX_OPERATIONS}" in answer.json()["detail"]
    assert len(bulk(idp, *[delete("/Users/x")] * MAX_OPERATIONS)) == MAX_OPERATIONS
    large = idp.send("POST", "/Bulk", raw=b" " * (MAX_PAYLOAD + 1))
    assert error_of(large) == (413, None)
    assert str(MAX_PAYLOAD) in large.json()["detail"]
    # Larger than what a single resource may be.
    filled = [post(f"p{n}", title="t" * 200, nickName="n" * 5000) for n in range(300)]
    assert statuses(bulk(idp, *filled)) == ["201"] * 300


# Cost


JOBS: dict[str, Callable[[Idp, list[str]], list[Operation]]] = {
    "creations": lambda idp, people: [
        post(f"n{n}", externalId=f"n{n}", emails=[{"value": f"n{n}@x.example"}]) for n in range(len(people))
    ],
    "creations that refer to each other": lambda idp, people: [
        post(f"n{n}", **manager(f"bulkId:n{n // 2}")) for n in range(len(people))
    ],
    "deactivations": lambda idp, people: [patch(f"/Users/{one}", switch(False)) for one in people],
    "replacements": lambda idp, people: [
        put(f"/Users/{one}", {"userName": f"p{n}", "title": "x"}) for n, one in enumerate(people)
    ],
    "replacements of versions": lambda idp, people: [
        put(f"/Users/{one}", {"userName": f"p{n}", "title": "x"}, version='W/"1"')
        for n, one in enumerate(people)
    ],
    "deletions": lambda idp, people: [delete(f"/Users/{one}") for one in people],
    "creations beside groups": lambda idp, people: [
        one
        for n in range(len(people))
        for one in (post(f"n{n}"), *([group("G", "bulkId:n0", "bulkId:n1")] if n == 1 else []))
    ],
}


# A job that may end early keeps to the order, and so these two take more statements.
UNORDERED = {"creations that refer to each other", "creations beside groups"}


@pytest.mark.parametrize(
    ("job", "limit"),
    [
        pytest.param(job, limit, id=f"{name}, {'to the end' if limit is None else 'or to an error'}")
        for name, job in JOBS.items()
        for limit in ((None,) if name in UNORDERED else (None, 1))
    ],
)
def test_the_cost_does_not_grow(
    idp: Idp, other: Idp, job: Callable[[Idp, list[str]], list[Operation]], limit: int | None
) -> None:
    counted = []
    for each, size in ((idp, 60), (other, 300)):
        operations = job(each, each.crowd(size))
        each.get("/Users", count=0)
        with CaptureQueriesContext(connection) as queries:
            results = bulk(each, *operations, failOnErrors=limit)
        assert {one["status"] for one in results} <= {"200", "201", "204"}
        counted.append([query["sql"] for query in queries])
    # A larger INSERT is cut where PostgreSQL takes no more parameters; nothing else may be more.
    few, many = ([sql for sql in each if not sql.startswith("INSERT")] for each in counted)
    assert len(few) == len(many)
    assert len(counted[1]) <= len(counted[0]) + 4


# A job against the same operations one by one


@pytest.mark.parametrize("seed", range(26))
def test_a_job_comes_to_what_single_requests_come_to(idp: Idp, other: Idp, seed: int) -> None:
    """The same operations, together at one tenant and one by one at another."""
    dice = random.Random(seed)
    ids: dict[int, list[str]] = {0: [], 1: []}
    for side, each in enumerate((idp, other)):
        for number in range(6):
            ids[side].append(each.person(f"p{number}", externalId=f"k{number}")["id"])
        ids[side].append(each.group("Staff", ids[side][:3])["id"])

    def operation(at: int) -> Callable[[int], Operation]:
        who, name = dice.randrange(6), f"p{dice.randrange(9)}"
        key = {} if dice.random() < 0.5 else {"externalId": f"k{dice.randrange(9)}"}
        active = dice.random() < 0.5
        match dice.randrange(7):
            case 0 | 1:
                return lambda side: post(name, f"b{at}", **key)
            case 2:
                return lambda side: put(f"/Users/{ids[side][who]}", {"userName": name, **key})
            case 3:
                return lambda side: patch(f"/Users/{ids[side][who]}", switch(active))
            case 4:
                return lambda side: patch(
                    f"/Users/{ids[side][who]}", {"op": "replace", "value": {"userName": name, **key}}
                )
            case 5:
                return lambda side: delete(f"/Users/{ids[side][who]}")
            case _:
                return lambda side: patch(f"/Groups/{ids[side][6]}", joining(ids[side][who]))

    made = [operation(number) for number in range(40)]
    together = bulk(idp, *(one(0) for one in made))
    singly = [other.send(one["method"], one["path"], one.get("data")) for one in (one(1) for one in made)]
    assert [
        (one["status"], one.get("response", {}).get("scimType"), one.get("version")) for one in together
    ] == [
        (
            str(one.status_code),
            one.json().get("scimType") if one.status_code >= 400 else None,
            one.headers.get("ETag"),
        )
        for one in singly
    ]

    def people(each: Idp) -> list[tuple[Any, ...]]:
        rows = Account.objects.filter(tenant=each.tenant_id, deleted_at=None).order_by("user_name_key")
        return list(
            rows.values_list("user_name", "external_id", "active", "version", "identity__holds__kind")
        )

    assert people(idp) == people(other)
    members = [
        sorted(
            Membership.objects.filter(tenant=each.tenant_id).values_list("account__user_name_key", flat=True)
        )
        for each in (idp, other)
    ]
    assert members[0] == members[1]


@pytest.mark.parametrize("last", [{"userName": ""}, {"userName": "taken"}], ids=["invalid", "refused"])
def test_a_long_chain_of_references_falls_at_once(idp: Idp, last: dict[str, Any]) -> None:
    idp.post("/Users", {"schemas": [USER_URN], "userName": "taken", "externalId": "another"})
    people = [post(f"u{number}", **manager(f"bulkId:u{number + 1}")) for number in range(MAX_OPERATIONS - 1)]
    people.append(post("x", f"u{MAX_OPERATIONS - 1}", externalId="mine"))
    people[-1]["data"] |= last
    started = time.process_time()
    with CaptureQueriesContext(connection) as queries:
        results = bulk(idp, *people)
    assert time.process_time() - started < 10
    assert len(queries) < 60
    assert {result["status"] for result in results[:-1]} == {"409"}
    assert results[-1]["status"] in ("400", "409")
    assert Account.objects.count() == 1
