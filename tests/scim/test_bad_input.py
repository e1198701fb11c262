"""Whatever arrives, the answer is a SCIM Error that says what is wrong; never a 500, never something half done."""

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning.models import Account, DirectoryGroup
from scim.patch import MAX_OPERATIONS
from scim.schemas import USER
from tests.scim.clients import Idp, error_of

pytestmark = pytest.mark.django_db

DEEP = 100_000

BODIES: dict[str, tuple[bytes, int, str | None]] = {
    "nothing": (b"", 400, "invalidSyntax"),
    "broken JSON": (b'{"userName": ', 400, "invalidSyntax"),
    "not UTF-8": (b'{"userName": "\xff"}', 400, "invalidSyntax"),
    "a number that JSON does not have": (b'{"userName": NaN}', 400, "invalidSyntax"),
    "half of a surrogate pair": (rb'{"userName": "\ud800"}', 400, "invalidSyntax"),
    "a list": (b"[]", 400, "invalidSyntax"),
    "text": (b'"ada"', 400, "invalidSyntax"),
    "absurdly deep": (b"[" * DEEP + b"]" * DEEP, 400, "invalidSyntax"),
    "deep inside an attribute": (
        b'{"userName":"ada","name":' + b'{"givenName":' * 900 + b"1" + b"}" * 901,
        400,
        "invalidValue",
    ),
    "a NUL": (rb'{"userName": "a\u0000b"}', 400, "invalidValue"),
    "a number as text": (b'{"userName": 7}', 400, "invalidValue"),
    "a number of many digits": (b'{"userName": ' + b"9" * 5000 + b"}", 400, None),
    "an unknown attribute": (b'{"userName": "ada", "colour": "blue"}', 400, "invalidSyntax"),
    "a name that no column holds": (b'{"userName": "' + b"a" * 600 + b'"}', 400, "invalidValue"),
    "more e-mails than anybody has": (
        b'{"userName":"ada","emails":['
        + b",".join(b'{"value":"a%d@x.example"}' % n for n in range(201))
        + b"]}",
        400,
        "invalidValue",
    ),
    "over one MiB": (b'{"userName": "' + b"a" * 1024 * 1024 + b'"}', 413, None),
}


@pytest.mark.parametrize(("raw", "status", "scim_type"), BODIES.values(), ids=BODIES)
def test_a_bad_body_is_refused(idp: Idp, raw: bytes, status: int, scim_type: str | None) -> None:
    path = f"/Users/{idp.person('eve')['id']}"
    for method, where in (("POST", "/Users"), ("PUT", path)):
        found = error_of(idp.send(method, where, raw=raw))
        assert found[0] == status
        assert scim_type is None or found[1] == scim_type
    for method, where in (("PATCH", path), ("POST", "/Groups")):
        assert error_of(idp.send(method, where, raw=raw))[0] == status
    assert Account.objects.count() == 1
    assert not DirectoryGroup.objects.exists()


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/scim+json", 201),
        ("application/json", 201),
        ("application/scim+json; charset=utf-8", 201),
        ("Application/JSON;charset=UTF-8", 201),
        ("", 201),
        ("text/plain", 415),
        ("application/xml", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/x-www-form-urlencoded", 415),
    ],
)
def test_json_is_taken_by_either_name(idp: Idp, content_type: str, status: int) -> None:
    answer = idp.send("POST", "/Users", {"userName": "ada"}, content_type=content_type)
    assert answer.status_code == status
    if status != 201:
        assert error_of(answer) == (415, None)


def test_a_byte_order_mark_is_passed_over(idp: Idp) -> None:
    answer = idp.send("POST", "/Users", raw=b'\xef\xbb\xbf{"userName": "ada"}')
    assert answer.status_code == 201


@pytest.mark.parametrize("uuid", ["0", "x", "7" * 400, "%00", "..%2f", "null", "urn:uuid:7", "é", "0" * 32])
@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_an_id_that_can_be_none_is_not_found(idp: Idp, kind: str, uuid: str) -> None:
    """RFC 7643 3.1: an id is opaque, so whatever is none of ours is simply not there."""
    path = f"/{kind}/{uuid}"
    body = {"userName": "ada", "displayName": "x"} if kind == "Groups" else {"userName": "ada"}
    body = {"displayName": "x"} if kind == "Groups" else body
    assert error_of(idp.get(path)) == (404, None)
    assert error_of(idp.put(path, body)) == (404, None)
    assert error_of(idp.patch(path, {"op": "replace", "path": "externalId", "value": "7"})) == (404, None)
    assert error_of(idp.delete(path)) == (404, None)


def test_an_id_in_another_spelling_is_another_id(idp: Idp) -> None:
    ada = idp.person("ada")["id"]
    for spelling in (ada.replace("-", ""), f"{{{ada}}}", f"urn:uuid:{ada}"):
        assert error_of(idp.get(f"/Users/{spelling}")) == (404, None)


@pytest.mark.parametrize("path", ["/Nothing", "/Users/x/y", "/Me/x", "/v1/Users", "/.search/x", "/%00"])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_an_unknown_address_is_not_found(idp: Idp, method: str, path: str) -> None:
    assert error_of(idp.send(method, path, {})) == (404, None)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/Users", {"GET", "POST"}),
        ("PATCH", "/Users", {"GET", "POST"}),
        ("DELETE", "/Groups", {"GET", "POST"}),
        ("POST", "/Groups/7", {"GET", "PUT", "PATCH", "DELETE"}),
        ("POST", "/Users/7", {"GET", "PUT", "PATCH", "DELETE"}),
        ("PUT", "/ServiceProviderConfig", {"GET"}),
        ("DELETE", "/Schemas", {"GET"}),
        ("TRACE", "/Users", {"GET", "POST"}),
        ("OPTIONS", "/Users", {"GET", "POST"}),
    ],
)
def test_a_method_that_is_not_answered_says_which_are(
    idp: Idp, method: str, path: str, allowed: set[str]
) -> None:
    """RFC 9110 15.5.6: "The origin server MUST generate an Allow header field in a 405 response"."""
    answer = idp.send(method, path, {})
    assert error_of(answer) == (405, None)
    assert set(answer["Allow"].split(", ")) - {"HEAD"} == allowed


@pytest.mark.parametrize("value", ["x", "1.5", "\uff11", "0x1", "1_0", "", "--1", "-+1", "-"])
@pytest.mark.parametrize("name", ["startIndex", "count"])
def test_a_page_that_is_no_number_is_refused(idp: Idp, name: str, value: str) -> None:
    answer = idp.get("/Users", **{name: value})
    assert answer.status_code == 200 if not value else error_of(answer) == (400, "invalidValue")


def test_a_large_group_patch_of_broken_members_is_one_refusal(idp: Idp) -> None:
    path = f"/Groups/{idp.group('Staff')['id']}"
    ghosts = [{"value": f"ghost-{number}"} for number in range(5000)]
    answer = idp.patch(path, {"op": "add", "path": "members", "value": ghosts})
    assert error_of(answer) == (400, "invalidValue")


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "userName",
                    "active",
                    "emails",
                    "value",
                    "name",
                    "op",
                    "path",
                    "Operations",
                    "members",
                    "displayName",
                ]
            )
            | st.text(max_size=6),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=_json, data=st.data())
def test_no_body_breaks_the_server(idp: Idp, body: Any, data: st.DataObject) -> None:
    user = Account.objects.first() or Account(pk=idp.person("eve")["id"])
    group = DirectoryGroup.objects.first() or DirectoryGroup(pk=idp.group("Staff")["id"])
    operation = {
        "Operations": [{"op": data.draw(st.sampled_from(["add", "remove", "replace"])), "value": body}]
    }
    for method, path, sent in (
        ("POST", "/Users", body),
        ("PUT", f"/Users/{user.pk}", body),
        ("PATCH", f"/Users/{user.pk}", operation),
        ("POST", "/Groups", body),
        ("PATCH", f"/Groups/{group.pk}", operation),
    ):
        answer = idp.send(method, path, raw=orjson.dumps(sent))
        assert answer.status_code in (200, 201, 204) or error_of(answer)[0] in (400, 409)


def test_more_operations_than_a_patch_may_have_are_refused(idp: Idp) -> None:
    path = f"/Users/{idp.person('ada')['id']}"
    operations = [{"op": "add", "path": "title", "value": str(n)} for n in range(MAX_OPERATIONS + 1)]
    assert error_of(idp.patch(path, *operations)) == (413, None)
    assert idp.patch(path, *operations[1:]).json()["title"] == str(MAX_OPERATIONS)
    # What says nothing is counted, too; and so is each of many keys.
    assert error_of(idp.patch(path, *[{"op": "add", "value": {}}] * (MAX_OPERATIONS + 1))) == (413, None)
    keys = {f'emails[type eq "{n}"].value': "x" for n in range(MAX_OPERATIONS + 1)}
    assert error_of(idp.patch(path, {"op": "add", "value": keys})) == (413, None)


def test_an_address_of_very_many_parameters_is_refused(idp: Idp) -> None:
    many = "&".join(f"a{n}=1" for n in range(1200))
    assert error_of(idp.get(f"/Users?{many}")) == (400, "invalidValue")


def test_an_attribute_has_an_end(idp: Idp) -> None:
    """Each value is compared with all before it, so without an end the work would grow with their square."""
    path = f"/Users/{idp.person('ada')['id']}"
    operations = [
        {"op": "add", "path": "emails", "value": [{"value": f"a{n}@x.example"}]} for n in range(300)
    ]
    assert error_of(idp.patch(path, *operations)) == (400, "invalidValue")
    assert "emails" not in idp.get(path).json()


def test_a_schema_inside_itself_is_no_deeper_than_once(idp: Idp) -> None:
    opening = b'{"' + USER.urn.encode() + b'":'
    raw = opening * 900 + b'{"userName": "ada"}' + b"}" * 900
    for method, path in (("POST", "/Users"), ("PUT", f"/Users/{idp.person('ben')['id']}")):
        assert error_of(idp.send(method, path, raw=raw)) == (400, "invalidValue")
    assert idp.send("POST", "/Users", raw=opening + b'{"userName": "ada"}}').status_code == 201
