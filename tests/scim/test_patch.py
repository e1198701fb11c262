"""What a user becomes by the operations of a PATCH: RFC 7644 3.5.2, and what identity providers make of it."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models.exceptions import SCIMException

from scim.documents import canonical
from scim.patch import operations_of, patched
from scim.schemas import USER
from tests.scim.clients import ENTERPRISE_URN, USER_URN

ADA: dict[str, Any] = {
    "userName": "ada",
    "externalId": "7",
    "active": True,
    "displayName": "Ada",
    "name": {"givenName": "Ada", "familyName": "Byron"},
    "emails": [
        {"value": "ada@work.example", "type": "work", "primary": True},
        {"value": "ada@home.example", "type": "home"},
    ],
    "roles": [{"value": "admin", "primary": True}, {"value": "user"}],
    ENTERPRISE_URN: {"department": "Mathematics", "employeeNumber": "7"},
}


def applied(*operations: dict[str, Any]) -> dict[str, Any]:
    return patched(USER, ADA, operations_of({"Operations": list(operations)}))


def ada(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in (ADA | changes).items() if value is not None}


WORK = ADA["emails"][0]
HOME = ADA["emails"][1]

CHANGES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "replace sets a value": (
        [{"op": "replace", "path": "displayName", "value": "A"}],
        ada(displayName="A"),
    ),
    "op names are matched without case": (
        [{"op": "Replace", "path": "displayName", "value": "A"}],
        ada(displayName="A"),
    ),
    "keys of an operation are matched without case": (
        [{"OP": "add", "Path": "DISPLAYNAME", "Value": "A"}],
        ada(displayName="A"),
    ),
    'Entra\'s "False" becomes false': (
        [{"op": "Replace", "path": "active", "value": "False"}],
        ada(active=False),
    ),
    "Entra's older list of one value": (
        [{"op": "Replace", "path": "active", "value": [{"$ref": None, "value": "False"}]}],
        ada(active=False),
    ),
    "without a path the keys are walked": (
        [{"op": "replace", "value": {"active": False, "title": "Countess"}}],
        ada(active=False, title="Countess"),
    ),
    "a path of null is no path": ([{"op": "add", "path": None, "value": {"title": "C"}}], ada(title="C")),
    "a dotted key is split by the schema": (
        [
            {
                "op": "replace",
                "value": {
                    "name.givenName": "A",
                    f"{ENTERPRISE_URN}:department": "Poetry",
                    "displayName": "X",
                },
            }
        ],
        ada(
            name={"givenName": "A", "familyName": "Byron"},
            displayName="X",
            **{ENTERPRISE_URN: {"department": "Poetry", "employeeNumber": "7"}},
        ),
    ),
    "a value path may be a key, too": (
        [{"op": "replace", "value": {'emails[type eq "home"].value': "new@home.example"}}],
        ada(emails=[WORK, HOME | {"value": "new@home.example"}]),
    ),
    "an extension may be a key": (
        [{"op": "add", "value": {ENTERPRISE_URN: {"division": "D"}}}],
        ada(**{ENTERPRISE_URN: {"department": "Mathematics", "employeeNumber": "7", "division": "D"}}),
    ),
    "the core URN may qualify a path": (
        [{"op": "replace", "path": f"{USER_URN}:name.givenName", "value": "A"}],
        ada(name={"givenName": "A", "familyName": "Byron"}),
    ),
    "a manager arrives as a bare string": (
        [{"op": "Add", "path": f"{ENTERPRISE_URN}:manager", "value": "9"}],
        ada(**{ENTERPRISE_URN: ADA[ENTERPRISE_URN] | {"manager": {"value": "9"}}}),
    ),
    "a value in an element is emptied with nothing": (
        [
            {"op": "replace", "path": 'emails[type eq "home"].value', "value": ""},
            {"op": "add", "path": 'ims[type eq "aim"].value', "value": ""},
        ],
        ada(emails=[WORK]),
    ),
    "a complex value is emptied with nothing": (
        [{"op": "replace", "path": "name", "value": ""}],
        ada(name=None),
    ),
    "removing the last attribute removes the extension": (
        [
            {"op": "remove", "path": f"{ENTERPRISE_URN}:department"},
            {"op": "remove", "path": f"{ENTERPRISE_URN}:employeeNumber"},
        ],
        ada(**{ENTERPRISE_URN: None}),
    ),
    "an extension is removed by its URN": (
        [{"op": "remove", "path": ENTERPRISE_URN}],
        ada(**{ENTERPRISE_URN: None}),
    ),
    # RFC 7644 3.5.2.3: "If the target location specifies a complex attribute, a set of sub-attributes SHALL be
    # specified in the "value" parameter that replaces any existing values or adds where an attribute ... "
    "replace of a complex attribute touches what it names": (
        [{"op": "replace", "path": "name", "value": {"givenName": "A"}}],
        ada(name={"givenName": "A", "familyName": "Byron"}),
    ),
    # RFC 7644 3.5.2.3: "If the target location path specifies an attribute that does not exist, the service
    # provider SHALL treat the operation as an "add"."
    "replace of what is not there adds it": (
        [{"op": "replace", "path": "title", "value": "C"}],
        ada(title="C"),
    ),
    "replace with null unassigns": (
        [{"op": "replace", "path": "displayName", "value": None}],
        ada(displayName=None),
    ),
    "add to a list is a union": (
        [{"op": "add", "path": "emails", "value": [{"value": "ADA@home.example", "type": "home"}]}],
        ada(emails=[WORK, {"value": "ADA@home.example", "type": "home"}]),
    ),
    # RFC 7644 3.5.2: "a PATCH operation that sets a value's "primary" sub-attribute to "true" SHALL cause the
    # server to automatically set "primary" to "false" for any other values in the array."
    "a new primary takes it from the old one": (
        [{"op": "add", "path": "emails", "value": {"value": "c@x.example", "primary": True}}],
        ada(emails=[WORK | {"primary": False}, HOME, {"value": "c@x.example", "primary": True}]),
    ),
    "the newest primary wins wherever it stands": (
        [
            {"op": "add", "path": 'emails[type eq "home"].primary', "value": True},
            {"op": "add", "path": 'emails[type eq "work"].primary', "value": True},
        ],
        ada(emails=[WORK, HOME | {"primary": False}]),
    ),
    "replace of a list is the whole list": (
        [{"op": "replace", "path": "roles", "value": [{"value": "guest"}]}],
        ada(roles=[{"value": "guest"}]),
    ),
    "replace of a list with an empty one removes it": (
        [{"op": "replace", "path": "roles", "value": []}],
        ada(roles=None),
    ),
    "a filtered path writes into the match": (
        [{"op": "replace", "path": 'emails[type eq "work"].value', "value": "new@work.example"}],
        ada(emails=[WORK | {"value": "new@work.example"}, HOME]),
    ),
    "a filter compares without case": (
        [{"op": "replace", "path": 'emails[Type EQ "WORK"].value', "value": "new@work.example"}],
        ada(emails=[WORK | {"value": "new@work.example"}, HOME]),
    ),
    'Entra\'s "True" inside a filter is true': (
        [{"op": "replace", "path": 'roles[primary eq "True"].value', "value": "owner"}],
        ada(roles=[{"value": "owner", "primary": True}, {"value": "user"}]),
    ),
    "a filter that matches nothing makes the element": (
        [{"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "555"}],
        ada(phoneNumbers=[{"type": "mobile", "value": "555"}]),
    ),
    "several parts of one new element": (
        [
            {"op": "Add", "path": 'addresses[type eq "work"].locality', "value": "London"},
            {"op": "Add", "path": 'addresses[type eq "work"].country', "value": "UK"},
        ],
        ada(addresses=[{"type": "work", "locality": "London", "country": "UK"}]),
    ),
    "replace of a match as a whole keeps what the filter says": (
        [{"op": "replace", "path": 'emails[type eq "work"]', "value": {"value": "w@x.example"}}],
        ada(emails=[{"type": "work", "value": "w@x.example"}, HOME]),
    ),
    # RFC 7643 2.5: what is empty is not there.
    "replace of every match with nothing leaves nothing": (
        [{"op": "replace", "path": "emails[value pr]", "value": {}}],
        ada(emails=None),
    ),
    "replace of a match with parts that nobody knows": (
        [{"op": "replace", "path": 'emails[not (type eq "home")]', "value": {"nope": 1}}],
        ada(emails=[HOME]),
    ),
    "replace of matches with an empty part": (
        [{"op": "replace", "path": 'emails[value co "work"]', "value": {"type": ""}}],
        ada(emails=[HOME]),
    ),
    "replace of either match with nothing": (
        [{"op": "replace", "path": 'emails[type eq "work" or type eq "home"]', "value": {}}],
        ada(emails=None),
    ),
    "replace of matches with a list of nothing": (
        [{"op": "replace", "path": 'emails[value co "1" or type pr]', "value": [{}]}],
        ada(emails=None),
    ),
    "replace of a match with nothing leaves no empty shell": (
        [{"op": "replace", "path": 'emails[type eq "work"]', "value": {}}],
        ada(emails=[HOME]),
    ),
    "replace of a match with labels of a value leaves no empty shell": (
        [{"op": "replace", "path": 'emails[type eq "work"]', "value": {"type": "home", "display": "D"}}],
        ada(emails=[HOME]),
    ),
    "labels of a value that a later operation sets": (
        [
            {"op": "replace", "path": 'emails[type eq "work"]', "value": {"display": "D"}},
            {"op": "add", "path": 'emails[type eq "work"].value', "value": "w@x.example"},
        ],
        ada(emails=[{"type": "work", "display": "D", "value": "w@x.example"}, HOME]),
    ),
    "add of nothing to a match changes nothing": (
        [{"op": "add", "path": "emails[value pr]", "value": {}}],
        ada(),
    ),
    "a blank value begins no element": (
        [
            {"op": "add", "path": 'ims[value eq ""].value', "value": "  "},
            {"op": "add", "path": 'ims[type eq "aim"].value', "value": "  "},
        ],
        ada(),
    ),
    "remove of a match": ([{"op": "remove", "path": 'emails[type eq "home"]'}], ada(emails=[WORK])),
    "remove of a match's value leaves no empty shell": (
        [{"op": "remove", "path": 'emails[type eq "home"].value'}],
        ada(emails=[WORK]),
    ),
    "remove of what is not there is no error": (
        [
            {"op": "remove", "path": "title"},
            {"op": "remove", "path": 'ims[type eq "aim"]'},
            {"op": "remove", "path": "name.middleName"},
            {"op": "remove", "path": f"{ENTERPRISE_URN}:manager"},
        ],
        ada(),
    ),
    "remove with a list of values removes the listed": (
        [{"op": "remove", "path": "emails", "value": [{"value": "ADA@home.example"}]}],
        ada(emails=[WORK]),
    ),
    "remove with an empty list removes nothing": ([{"op": "remove", "path": "emails", "value": []}], ada()),
    "remove with null removes all": ([{"op": "remove", "path": "emails", "value": None}], ada(emails=None)),
    "the password and what nobody may write are passed over": (
        [{"op": "replace", "value": {"password": "x", "id": "x", "schemas": [], "meta": {}, "groups": []}}],
        ada(),
    ),
    "a URN that means nothing here is passed over": (
        [{"op": "replace", "value": {"urn:example:2.0:User:colour": "blue", "title": "C"}}],
        ada(title="C"),
    ),
    "later operations see what earlier ones did": (
        [
            {"op": "remove", "path": "emails"},
            {"op": "add", "path": "emails", "value": [{"value": "x@x.example"}]},
            {"op": "replace", "path": "emails.type", "value": "other"},
        ],
        ada(emails=[{"value": "x@x.example", "type": "other"}]),
    ),
}


@pytest.mark.parametrize(("operations", "expected"), CHANGES.values(), ids=CHANGES)
def test_operations_change_what_they_name(operations: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    before = copy.deepcopy(ADA)
    assert applied(*operations) == expected
    assert before == ADA


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    # RFC 7644 3.5.2.2: "If "path" is unspecified, the operation fails with HTTP status code 400 and a "scimType"
    # error code of "noTarget"."
    "remove without a path": ({"op": "remove"}, "noTarget"),
    "an op that is none": ({"op": "frobnicate", "path": "title", "value": "x"}, "invalidSyntax"),
    "no op": ({"path": "title", "value": "x"}, "invalidSyntax"),
    "a path that is no text": ({"op": "add", "path": 7, "value": "x"}, "invalidPath"),
    "an unknown attribute": ({"op": "add", "path": "colour", "value": "x"}, "invalidPath"),
    "an unknown attribute as a key": ({"op": "add", "value": {"colour": "x"}}, "invalidPath"),
    "an unknown sub-attribute": ({"op": "add", "path": "name.colour", "value": "x"}, "invalidPath"),
    "an unknown URN as a path": (
        {"op": "add", "path": "urn:example:2.0:User:a", "value": "x"},
        "invalidPath",
    ),
    "a broken path": ({"op": "add", "path": "emails[type eq", "value": "x"}, "invalidPath"),
    "a filter instead of a path": ({"op": "add", "path": 'title eq "x"', "value": "x"}, "invalidPath"),
    "a filter on one value": ({"op": "add", "path": 'name[givenName eq "x"]', "value": "x"}, "invalidPath"),
    "a filter on an unknown name": ({"op": "remove", "path": 'emails[colour eq "x"]'}, "invalidFilter"),
    "an unknown name where nothing is to match": (
        {"op": "remove", "path": 'ims[colour eq "x"]'},
        "invalidFilter",
    ),
    "an order of booleans": ({"op": "remove", "path": "emails[primary gt true]"}, "invalidFilter"),
    "a filter that describes no element": (
        {"op": "replace", "path": 'ims[type eq "aim" or type eq "icq"].value', "value": "x"},
        "noTarget",
    ),
    # RFC 7644 3.12, mutability: "The attempted modification is not compatible with the target attribute's
    # mutability"
    "id": ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
    "meta": ({"op": "replace", "path": "meta.created", "value": "x"}, "mutability"),
    "groups": ({"op": "add", "path": "groups", "value": [{"value": "x"}]}, "mutability"),
    "a wrong type": ({"op": "replace", "path": "active", "value": "perhaps"}, "invalidValue"),
    "a wrong type inside": ({"op": "add", "path": "emails", "value": [{"value": 7}]}, "invalidValue"),
    # RFC 7644 3.5.2.2: "If an attribute is removed or becomes unassigned and is defined as a required attribute ...
    # a "scimType" error code of "mutability"."
    "the required userName removed": ({"op": "remove", "path": "userName"}, "mutability"),
    "the required userName emptied": ({"op": "replace", "path": "userName", "value": ""}, "mutability"),
    # RFC 7644 3.5.2.1: "The operation MUST contain a "value" member whose content specifies the value to be added."
    "add without a value": ({"op": "add", "path": "title"}, "invalidValue"),
    "replace without a value": ({"op": "replace", "path": "displayName"}, "invalidValue"),
    "a misspelt value": ({"op": "replace", "path": "emails", "values": []}, "invalidValue"),
    "a match without a value": ({"op": "replace", "path": 'emails[type eq "work"]'}, "invalidValue"),
    "neither path nor value": ({"op": "add"}, "invalidValue"),
    "no object without a path": ({"op": "add", "value": "x"}, "invalidValue"),
}


@pytest.mark.parametrize(("operation", "scim_type"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_applied_is_refused(operation: dict[str, Any], scim_type: str) -> None:
    before = copy.deepcopy(ADA)
    with pytest.raises(SCIMException) as refused:
        # RFC 7644 3.5.2: "A PATCH request, regardless of the number of operations, SHALL be treated as atomic."
        applied({"op": "replace", "path": "displayName", "value": "Half applied"}, operation)
    assert (refused.value.status, refused.value.scim_type) == (400, scim_type)
    assert before == ADA


@pytest.mark.parametrize("body", [None, [], {}, {"Operations": []}, {"Operations": {}}, {"Operations": [7]}])
def test_a_message_without_operations_is_refused(body: Any) -> None:
    with pytest.raises(SCIMException) as refused:
        operations_of(body)
    assert refused.value.scim_type == "invalidSyntax"


_paths = st.sampled_from(
    [
        None,
        "title",
        "name",
        "name.givenName",
        "active",
        "roles",
        'roles[value eq "x"]',
        "emails",
        "emails.value",
        'emails[type eq "work"]',
        'emails[type eq "work"].value',
        'emails[value eq ""].value',
        "emails[value pr]",
        'emails[not (type eq "home")]',
        f"{ENTERPRISE_URN}:manager",
        ENTERPRISE_URN,
    ]
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "type", "primary", "title", "name", "emails"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
_operations = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "replace", "remove"]), "path": _paths, "value": _json}
    ),
    min_size=1,
    max_size=4,
)


@given(_operations)
def test_a_patch_ends_canonical_or_refused(operations: list[dict[str, Any]]) -> None:
    """Whatever is sent: one of ours is raised, or the result would be accepted as a PUT and stay as it is."""
    try:
        result = applied(*operations)
    except SCIMException:
        return
    assert canonical(USER, result) == result


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("phoneNumbers[primary eq true].primary", False),
        ('phoneNumbers[type eq "work"]', {}),
        ('emails[type eq "other"].primary', True),
    ],
)
def test_labels_alone_begin_no_element(path: str, value: Any) -> None:
    assert applied({"op": "add", "path": path, "value": value}) == ADA


def test_the_labels_of_an_element_may_come_before_its_value() -> None:
    """Entra writes an app role so, one operation each."""
    parts = {"display": "A", "value": "a", "type": "T"}
    said = [{"op": "add", "path": f'ims[primary eq "True"].{name}', "value": parts[name]} for name in parts]
    assert applied(*said)["ims"] == [parts | {"primary": True}]
