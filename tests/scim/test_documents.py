"""From what a client sent to the canonical document."""

from typing import Any

import pytest
from scim2_models.exceptions import InvalidSyntaxException, InvalidValueException

from scim.documents import canonical, schemas_of
from scim.schemas import GROUP, USER
from tests.scim.clients import ENTERPRISE_URN, GROUP_URN, USER_URN

ADA = {"userName": "ada"}

NORMALISED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # RFC 7643 2.1: "attribute names are case insensitive"
    "attribute names are matched without case": (
        {"USERNAME": "ada", "Name": {"GIVENNAME": "Ada"}},
        ADA | {"name": {"givenName": "Ada"}},
    ),
    "schema URNs are matched without case": (
        ADA | {ENTERPRISE_URN.upper(): {"Department": "Mathematics"}},
        ADA | {ENTERPRISE_URN: {"department": "Mathematics"}},
    ),
    "an unknown URN is tolerated": (
        ADA
        | {
            "schemas": [USER_URN, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/User"],
            "urn:example:2.0:User": {"colour": "blue"},
        },
        ADA,
    ),
    "the core URN may qualify attributes": ({USER_URN: {"userName": "ada"}}, ADA),
    # RFC 7643 2.5: "Unassigned attributes, the null value, or an empty array ... SHALL be considered to be
    # equivalent in "state"."
    "null, empty text and empty lists are nothing": (
        ADA | {"title": None, "nickName": "", "roles": [], "name": {"givenName": None}, "emails": [{}]},
        ADA,
    ),
    "text becomes a boolean for boolean attributes only": (
        ADA | {"active": "False", "title": "True", "roles": [{"value": "True", "primary": "True"}]},
        ADA | {"active": False, "title": "True", "roles": [{"value": "True", "primary": True}]},
    ),
    # RFC 7644 3.5.1: "readOnly: Any values provided SHALL be ignored."
    "read-only attributes and the password are dropped": (
        ADA
        | {
            "id": "x",
            "meta": {"version": "x"},
            "groups": [{"value": "x"}],
            "password": "Hg8-secret",
            ENTERPRISE_URN: {"manager": {"value": "7", "displayName": "Boss"}},
        },
        ADA | {ENTERPRISE_URN: {"manager": {"value": "7"}}},
    ),
    "a manager may be a bare string": (
        ADA | {ENTERPRISE_URN: {"manager": "7"}},
        ADA | {ENTERPRISE_URN: {"manager": {"value": "7"}}},
    ),
    "a manager may be a list of one": (
        ADA | {ENTERPRISE_URN: {"manager": [{"value": "7"}]}},
        ADA | {ENTERPRISE_URN: {"manager": {"value": "7"}}},
    ),
    "an extension may name its own schema": (
        ADA | {ENTERPRISE_URN: {"schemas": [ENTERPRISE_URN], "division": "A"}},
        ADA | {ENTERPRISE_URN: {"division": "A"}},
    ),
    "a role that is a JSON document stays the text that it is": (
        ADA | {"roles": [{"value": '{"id":"06b0","value":"25"}'}]},
        ADA | {"roles": [{"value": '{"id":"06b0","value":"25"}'}]},
    ),
    "each e-mail is there once by type and value": (
        ADA | {"emails": [{"value": "A@x.org", "type": "work"}, {"value": "a@X.org", "type": "Work"}]},
        ADA | {"emails": [{"value": "a@X.org", "type": "Work"}]},
    ),
    "one address may have two types": (
        ADA | {"emails": [{"value": "a@x.org", "type": "work"}, {"value": "a@x.org", "type": "home"}]},
        ADA | {"emails": [{"value": "a@x.org", "type": "work"}, {"value": "a@x.org", "type": "home"}]},
    ),
    # RFC 7643 2.4: "The primary attribute value "true" MUST appear no more than once."
    "of two primaries the newest wins": (
        ADA | {"emails": [{"value": "a@x.org", "primary": True}, {"value": "b@x.org", "primary": "true"}]},
        ADA | {"emails": [{"value": "a@x.org", "primary": False}, {"value": "b@x.org", "primary": True}]},
    ),
    "a sub-attribute that the schema does not have is passed over": (
        ADA | {"emails": [{"value": "a@x.org", "isPrimary": 1}]},
        ADA | {"emails": [{"value": "a@x.org"}]},
    ),
}


@pytest.mark.parametrize(("sent", "kept"), NORMALISED.values(), ids=NORMALISED)
def test_a_body_becomes_canonical(sent: dict[str, Any], kept: dict[str, Any]) -> None:
    assert canonical(USER, sent) == kept


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "a list": ([], InvalidSyntaxException, "The body"),
    "text": ("ada", InvalidSyntaxException, "The body"),
    "nothing": (None, InvalidSyntaxException, "The body"),
    "no userName": ({"active": True}, InvalidValueException, "userName"),
    "an empty userName": ({"userName": ""}, InvalidValueException, "userName"),
    "a blank userName": ({"userName": " \t"}, InvalidValueException, "userName"),
    "a number as userName": ({"userName": 7}, InvalidValueException, "userName"),
    "an unknown attribute": (ADA | {"favouriteColour": "blue"}, InvalidSyntaxException, "favouriteColour"),
    "an unknown enterprise attribute": (
        ADA | {ENTERPRISE_URN: {"colour": "blue"}},
        InvalidSyntaxException,
        f"{ENTERPRISE_URN}:colour",
    ),
    "an extension that is no object": (ADA | {ENTERPRISE_URN: 7}, InvalidValueException, ENTERPRISE_URN),
    "a word as a boolean": (ADA | {"active": "yes"}, InvalidValueException, "active"),
    "a number as a boolean": (ADA | {"active": 1}, InvalidValueException, "active"),
    "an object as text": (ADA | {"title": {"x": 1}}, InvalidValueException, "title"),
    "text as an object": (ADA | {"name": 7}, InvalidValueException, "name"),
    "text as a list": (ADA | {"emails": "a@x.org"}, InvalidValueException, "emails"),
    "text as an e-mail": (ADA | {"emails": ["a@x.org"]}, InvalidValueException, "emails[0]"),
    "a number as an e-mail": (
        ADA | {"emails": [{"value": "a@x.org"}, {"value": 7}]},
        InvalidValueException,
        "emails[1].value",
    ),
    "a NUL": (ADA | {"title": "a\x00b"}, InvalidValueException, "title"),
    "half of a surrogate pair": (ADA | {"title": "\ud800"}, InvalidValueException, "title"),
    "a name that no column holds": ({"userName": "a" * 513}, InvalidValueException, "userName"),
    "a name that grows in lower case": ({"userName": "İ" * 300}, InvalidValueException, "userName"),
    "a certificate that is not base64": (
        ADA | {"x509Certificates": [{"value": "!"}]},
        InvalidValueException,
        "x509Certificates[0].value",
    ),
}


@pytest.mark.parametrize(("sent", "error", "path"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_by_its_path(sent: Any, error: type[Exception], path: str) -> None:
    with pytest.raises(error) as refused:
        canonical(USER, sent)
    assert str(refused.value).startswith(path)


def test_a_group_needs_a_display_name() -> None:
    with pytest.raises(InvalidValueException, match="displayName"):
        canonical(GROUP, {"schemas": [GROUP_URN]})


def test_schemas_name_the_extensions_that_are_carried() -> None:
    # RFC 7643 3: "schemas" names those "that define the attributes present in the current JSON structure"
    assert schemas_of(USER, ADA) == [USER_URN]
    assert schemas_of(USER, ADA | {ENTERPRISE_URN: {"division": "A"}}) == [USER_URN, ENTERPRISE_URN]
