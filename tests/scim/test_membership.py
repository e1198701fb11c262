"""What a PATCH wants of a group's members, without knowing who they are."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from scim2_models.exceptions import SCIMException

from scim import membership
from scim.membership import GroupChange, People, change_of, whole_change
from scim.patch import operations_of
from scim.schemas import GROUP
from tests.scim.clients import GROUP_URN

A, B, C = (uuid4() for _ in range(3))
BASE = "https://hub.example/scim/v2"
ADA_AND_BOB = People(held={str(A): "Ada", str(B): "bob"}, given={str(C): "cy"}, base=BASE)


def change(*operations: dict[str, Any]) -> GroupChange:
    return change_of(operations_of({"Operations": list(operations)}))


def settled(*operations: dict[str, Any]) -> GroupChange:
    """For a group that has Ada and Bob."""
    asked = change(*operations)
    assert asked.pending(GROUP)
    return asked.settled(GROUP, {}, ADA_AND_BOB)


def members(*ids: UUID) -> list[dict[str, Any]]:
    return [{"value": str(member)} for member in ids]


def sets(add: set[UUID] = frozenset(), remove: set[UUID] = frozenset(), whole: bool = False) -> GroupChange:
    return GroupChange(add=frozenset(add), remove=frozenset(remove), whole=whole)


WANTED: dict[str, tuple[list[dict[str, Any]], GroupChange]] = {
    "add is a union": ([{"op": "Add", "path": "members", "value": members(A, B)}], sets({A, B})),
    "an explicit $ref of null is tolerated": (
        [{"op": "Add", "path": "members", "value": [{"$ref": None, "value": str(A)}]}],
        sets({A}),
    ),
    "one member need not be in a list": (
        [{"op": "add", "path": "members", "value": members(A)[0]}],
        sets({A}),
    ),
    "add without a path": ([{"op": "add", "value": {"members": members(A)}}], sets({A})),
    "one operation per member": (
        [{"op": "add", "path": "members", "value": members(one)} for one in (A, B, A)],
        sets({A, B}),
    ),
    # RFC 7644 3.5.2.2 has no value for remove; Entra lists there whom to remove.
    "remove with a list removes the listed only": (
        [{"op": "Remove", "path": "members", "value": members(A)}],
        sets(remove={A}),
    ),
    "remove with an empty list removes nobody": ([{"op": "remove", "path": "members", "value": []}], sets()),
    "remove without a value removes all": ([{"op": "remove", "path": "members"}], sets(whole=True)),
    "remove with an explicit null removes all": (
        [{"op": "remove", "path": "members", "value": None}],
        sets(whole=True),
    ),
    "remove by a filter": ([{"op": "remove", "path": f'members[value eq "{A}"]'}], sets(remove={A})),
    "remove by a filter of several": (
        [{"op": "remove", "path": f'members[value eq "{A}" or value eq "{B}"]'}],
        sets(remove={A, B}),
    ),
    "a filter may name the type, too": (
        [{"op": "remove", "path": f'members[value eq "{A}" and type eq "User"]'}],
        sets(remove={A}),
    ),
    "no member is a group": ([{"op": "remove", "path": 'members[type eq "Group"]'}], sets()),
    "replace is the whole membership": (
        [{"op": "replace", "path": "members", "value": members(A)}],
        sets({A}, whole=True),
    ),
    "replace with nothing empties": ([{"op": "replace", "path": "members", "value": []}], sets(whole=True)),
    "a member that matches nothing is added": (
        [{"op": "add", "path": f'members[value eq "{A}"].display', "value": "x"}],
        sets(),
    ),
    "replace of one by another": (
        [{"op": "replace", "path": f'members[value eq "{A}"]', "value": members(B)[0]}],
        sets({B}, {A}),
    ),
    # RFC 7643 2.5: null is nothing.
    "replace of one by nothing": (
        [{"op": "replace", "path": f'members[value eq "{A}"]', "value": None}],
        sets(remove={A}),
    ),
    "the later word counts": (
        [
            {"op": "add", "path": "members", "value": members(A, B)},
            {"op": "remove", "path": "members", "value": members(B, C)},
            {"op": "add", "path": "members", "value": members(C)},
        ],
        sets({A, C}, {B}),
    ),
    "after a replace, removing takes from the new list": (
        [
            {"op": "replace", "path": "members", "value": members(A, B)},
            {"op": "remove", "path": "members", "value": members(B)},
            {"op": "add", "path": "members", "value": members(C)},
        ],
        sets({A, C}, whole=True),
    ),
    "somebody who cannot exist is nobody to remove": (
        [{"op": "remove", "path": "members", "value": [{"value": "bjensen"}]}],
        sets(),
    ),
    "a rename touches no member": (
        [{"op": "Replace", "path": "displayName", "value": "New"}],
        GroupChange(display_name="New"),
    ),
    # authentik sends the whole resource without its members.
    "a whole resource without members touches none": (
        [{"op": "replace", "value": {"schemas": [], "id": "x", "externalId": "7", "displayName": "New"}}],
        GroupChange(display_name="New", external_id="7", set_external_id=True),
    ),
    "externalId can be removed": (
        [{"op": "remove", "path": "externalId"}],
        GroupChange(set_external_id=True),
    ),
}


@pytest.mark.parametrize(("operations", "wanted"), WANTED.values(), ids=WANTED)
def test_operations_become_sets(operations: list[dict[str, Any]], wanted: GroupChange) -> None:
    assert change(*operations) == wanted


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "a nested group by its type": (
        {"op": "add", "path": "members", "value": [{"value": str(A), "type": "Group"}]},
        "invalidValue",
    ),
    "a nested group by its $ref": (
        {
            "op": "add",
            "path": "members",
            "value": [{"value": str(A), "$ref": f"https://h/scim/v2/Groups/{A}"}],
        },
        "invalidValue",
    ),
    "a member without a value": (
        {"op": "add", "path": "members", "value": [{"display": "x"}]},
        "invalidValue",
    ),
    "a number as a member": ({"op": "add", "path": "members", "value": [7]}, "invalidValue"),
    "a number as a member's id": ({"op": "add", "path": "members", "value": [{"value": 7}]}, "invalidValue"),
    "a filter by what no member has": ({"op": "remove", "path": 'members[nickName eq "x"]'}, "invalidFilter"),
    "a filter by a number": ({"op": "remove", "path": "members[display gt true]"}, "invalidFilter"),
    # RFC 7643 4.2: members.value is "immutable"
    "the value of a member": (
        {"op": "replace", "path": f'members[value eq "{A}"].value', "value": str(B)},
        "mutability",
    ),
    "the values of all members": ({"op": "replace", "path": "members.value", "value": str(B)}, "mutability"),
    "displayName removed": ({"op": "remove", "path": "displayName"}, "mutability"),
    "displayName emptied": ({"op": "replace", "value": {"displayName": ""}}, "mutability"),
    "id": ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
    "an attribute of users": ({"op": "replace", "path": "userName", "value": "x"}, "invalidPath"),
}


@pytest.mark.parametrize(("operation", "scim_type"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_is_refused(operation: dict[str, Any], scim_type: str) -> None:
    with pytest.raises(SCIMException) as refused:
        change(operation)
    assert (refused.value.status, refused.value.scim_type) == (400, scim_type)


CHOSEN: dict[str, tuple[list[dict[str, Any]], GroupChange]] = {
    "by name, without case": ([{"op": "remove", "path": 'members[display eq "ADA"]'}], sets(remove={A})),
    "by a part of the name": ([{"op": "remove", "path": 'members[display co "o"]'}], sets(remove={B})),
    "by address": ([{"op": "remove", "path": f'members[$ref eq "{BASE}/Users/{A}"]'}], sets(remove={A})),
    "by the beginning of the id": (
        [{"op": "remove", "path": f'members[value sw "{str(A)[:13]}"]'}],
        sets(remove={A}),
    ),
    "everybody but one": ([{"op": "remove", "path": f'members[not (value eq "{A}")]'}], sets(remove={B})),
    "who is not somebody": ([{"op": "remove", "path": f'members[value ne "{A}"]'}], sets(remove={B})),
    "one or another": (
        [{"op": "remove", "path": f'members[value eq "{A}" or display eq "bob"]'}],
        sets(remove={A, B}),
    ),
    "one and another are nobody": (
        [{"op": "remove", "path": f'members[value eq "{A}" and display eq "bob"]'}],
        sets(),
    ),
    "everybody, by type and presence": (
        [{"op": "remove", "path": 'members[type ne "Group" and display pr]'}],
        sets(remove={A, B}),
    ),
    # As of every other attribute: what is not there need not be removed.
    "nobody": ([{"op": "remove", "path": 'members[display eq "eve"]'}], sets()),
    "among those who came just now": (
        [
            {"op": "add", "path": "members", "value": members(C)},
            {"op": "remove", "path": 'members[display eq "cy" or display eq "bob"]'},
        ],
        sets(remove={B, C}),
    ),
    "not among those who went just now": (
        [
            {"op": "remove", "path": f'members[value eq "{A}"]'},
            {"op": "replace", "path": 'members[display sw "b"]', "value": members(C)},
            {"op": "remove", "path": "members[display pr]"},
        ],
        sets(remove={A, B, C}),
    ),
    "of a new list": (
        [
            {"op": "replace", "path": "members", "value": members(A, C)},
            {"op": "remove", "path": 'members[display eq "cy" or display eq "bob"]'},
        ],
        sets({A}, whole=True),
    ),
    "one by another": (
        [{"op": "replace", "path": 'members[display eq "ada"]', "value": members(C)[0]}],
        sets({C}, {A}),
    ),
    "all by one": (
        [{"op": "replace", "path": 'members[type eq "User"]', "value": members(C)}],
        sets({C}, {A, B}),
    ),
    "one by nothing": (
        [{"op": "replace", "path": 'members[display eq "ada"]', "value": None}],
        sets(remove={A}),
    ),
    "with other attributes beside it": (
        [
            {"op": "replace", "path": "displayName", "value": "New"},
            {"op": "remove", "path": 'members[display eq "ada"]'},
        ],
        GroupChange(display_name="New", remove=frozenset({A})),
    ),
}


@pytest.mark.parametrize(("operations", "wanted"), CHOSEN.values(), ids=CHOSEN)
def test_a_filter_chooses_among_the_members(operations: list[dict[str, Any]], wanted: GroupChange) -> None:
    assert settled(*operations) == wanted


@pytest.mark.parametrize("op", ["add", "replace"])
def test_nobody_is_put_in_the_place_of_nobody(op: str) -> None:
    """RFC 7644 3.12, noTarget: "the "path" value contains a filter that yields no match"."""
    with pytest.raises(SCIMException) as refused:
        settled({"op": op, "path": 'members[display eq "eve"]', "value": members(C)})
    assert (refused.value.status, refused.value.scim_type) == (400, "noTarget")


def test_filters_ask_only_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: a thousand operations, each asked of every member of a large group."""
    monkeypatch.setattr(membership, "MOST_ASKED", 7)
    thrice = {"op": "remove", "path": 'members[display eq "x" or display eq "y" or display eq "z"]'}
    assert settled(thrice) == sets()
    with pytest.raises(SCIMException) as refused:
        settled(thrice, thrice)
    assert (refused.value.status, refused.value.scim_type) == (400, "tooMany")


def test_what_cannot_be_an_id_is_told_apart() -> None:
    """Whether it refuses the request is the connection's option; it never is an error of the server."""
    wanted = change({"op": "add", "path": "members", "value": [{"value": "bjensen"}, *members(A)]})
    assert (wanted.add, wanted.unknown) == ({A}, ("bjensen",))


def test_a_body_is_the_whole_membership() -> None:
    wanted = whole_change({"displayName": "Staff", "MEMBERS": members(A, A, B)})
    assert wanted == GroupChange(display_name="Staff", add=frozenset({A, B}), whole=True)
    assert whole_change({"displayName": "Staff"}) == GroupChange(display_name="Staff", whole=True)


@pytest.mark.parametrize(
    "body",
    [
        {GROUP_URN: {"displayName": "Staff", "members": members(A, B)}},
        {GROUP_URN.upper(): {"displayName": "Staff", "Members": members(A, B)}},
        {"displayName": "Staff", GROUP_URN: {"members": members(A, B)}},
        {f"{GROUP_URN}:displayName": "Staff", f"{GROUP_URN}:members": members(A, B)},
    ],
    ids=["under the core URN", "in any case", "members alone", "by whole paths"],
)
def test_members_are_read_wherever_the_urn_stands(body: dict[str, Any]) -> None:
    """RFC 7644 3.10: the core URN may qualify whatever belongs to the core schema."""
    assert whole_change(body) == GroupChange(display_name="Staff", add=frozenset({A, B}), whole=True)


@pytest.mark.parametrize("key", ["members", f"{GROUP_URN}:members"])
def test_members_that_are_no_list_are_refused_under_the_urn(key: str) -> None:
    with pytest.raises(SCIMException) as refused:
        whole_change({"displayName": "Staff", GROUP_URN: {key: "x"}})
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidValue")


@pytest.mark.parametrize("op", ["add", "replace"])
@pytest.mark.parametrize("said", [{}, {"values": members(A)}], ids=["nothing", "a misspelt value"])
def test_a_forgotten_value_empties_no_group(op: str, said: dict[str, Any]) -> None:
    with pytest.raises(SCIMException) as refused:
        change({"op": op, "path": "members", **said})
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidValue")
    assert change({"op": "replace", "path": "members", "value": None}) == sets(whole=True)
