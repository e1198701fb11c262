"""Every characteristic of RFC 7643 2.2, read from a schema that is nothing but data, through HTTP."""

from typing import Any

import pytest
from scim2_models import Context, Resource, Schema

from provisioning.models import AuditRecord
from tests.scim.clients import Idp, error_of

pytestmark = pytest.mark.django_db

CORE = "urn:identity-hub:scim:schemas:conformance:2.0:TestResource"
REQUIRED = "urn:identity-hub:scim:schemas:conformance:2.0:Required"
OPTIONAL = "urn:identity-hub:scim:schemas:conformance:2.0:Optional"


@pytest.fixture(autouse=True)
def _served(settings: Any) -> None:
    settings.HUB_SCIM_CONFORMANCE = True


def body(name: str = "one", **attributes: Any) -> dict[str, Any]:
    return {"schemas": [CORE, REQUIRED], "name": name, REQUIRED: {"code": "x"}, **attributes}


def made(idp: Idp, name: str = "one", **attributes: Any) -> dict[str, Any]:
    answer = idp.post("/TestResources", body(name, **attributes))
    assert answer.status_code == 201, answer.content
    created: dict[str, Any] = answer.json()
    return created


def path_of(resource: dict[str, Any]) -> str:
    return f"/TestResources/{resource['id']}"


def refused(answer: Any) -> tuple[int, str | None, str]:
    return *error_of(answer), answer.json()["detail"]


EVERY_TYPE: dict[str, tuple[Any, Any]] = {
    "string": ("Ada", 7),
    "boolean": (True, "perhaps"),
    "decimal": (1.5, "1.5"),
    "integer": (7, 7.5),
    "dateTime": ("2026-01-31T08:00:00.5+01:00", "2026-01-31"),
    "reference": ("https://x.example/y?z#w", "not a URI"),
    "binary": ("AAEC", "!"),
}
PLURAL = {"binary": "binaries"}


class TestDiscovery:
    def test_the_type_is_there_only_where_the_setting_serves_it(self, idp: Idp, settings: Any) -> None:
        types = {one["id"]: one for one in idp.get("/ResourceTypes").json()["Resources"]}
        assert types["TestResource"]["endpoint"] == "/TestResources"
        assert types["TestResource"]["schemaExtensions"] == [
            {"schema": REQUIRED, "required": True},
            {"schema": OPTIONAL, "required": False},
        ]
        settings.HUB_SCIM_CONFORMANCE = False
        assert error_of(idp.get("/TestResources")) == (404, None)
        assert [one["id"] for one in idp.get("/ResourceTypes").json()["Resources"]] == ["User", "Group"]

    def test_its_schemas_are_complete(self, idp: Idp) -> None:
        schemas = {one["id"]: one for one in idp.get("/Schemas").json()["Resources"]}
        for urn in (CORE, REQUIRED, OPTIONAL):
            Schema.model_validate(schemas[urn], scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
        found = list(schemas[CORE]["attributes"])
        found += [sub for one in found for sub in one.get("subAttributes", [])]
        for name, values in {
            "type": {*EVERY_TYPE, "complex"},
            "multiValued": {True, False},
            "required": {True, False},
            "caseExact": {True, False},
            "mutability": {"readWrite", "readOnly", "immutable", "writeOnly"},
            "returned": {"default", "always", "request", "never"},
            "uniqueness": {"none", "server", "global"},
        }.items():
            assert {one[name] for one in found} == values, name

    def test_a_client_can_build_the_type_from_it(self, idp: Idp) -> None:
        schema = Schema.model_validate(idp.get(f"/Schemas/{CORE}").json())
        model = Resource.from_schema(schema)
        resource = made(idp, integers=[1, 2], complex={"dateTime": "2026-01-31T08:00:00Z"})
        told = {key: value for key, value in resource.items() if not key.startswith("urn:")}
        assert model.model_validate(told | {"schemas": [CORE]}).integers == [1, 2]


class TestTypes:
    @pytest.mark.parametrize("type_", EVERY_TYPE)
    def test_a_value_of_the_type_reads_back_and_another_is_refused(self, idp: Idp, type_: str) -> None:
        good, bad = EVERY_TYPE[type_]
        plural = PLURAL.get(type_, f"{type_}s")
        told = {
            type_: good,
            plural: [good],
            "complex": {type_: good},
            "complexes": [{"value": "v", type_: good}],
        }
        resource = made(idp, **told)
        assert {key: resource[key] for key in told} == told
        assert idp.get(path_of(resource)).json() == resource
        for name, value, where in (
            (type_, bad, type_),
            (plural, [good, bad], f"{plural}[1]"),
            ("complex", {type_: bad}, f"complex.{type_}"),
            ("complexes", [{type_: bad}], f"complexes[0].{type_}"),
        ):
            status, scim_type, detail = refused(idp.post("/TestResources", body("bad", **{name: value})))
            assert (status, scim_type) == (400, "invalidValue")
            assert detail.startswith(f"{where}: ")
            answer = idp.patch(path_of(resource), {"op": "replace", "path": name, "value": value})
            assert refused(answer)[:2] == (400, "invalidValue")

    @pytest.mark.parametrize("uri", ["/a:b", "a/b:c", "?a:b", "urn:a:b", "x-y+z.1:q", "../a", "#a", "%3a"])
    def test_a_reference_is_a_uri_or_a_part_of_one(self, idp: Idp, uri: str) -> None:
        """RFC 7643 2.3.7: "the absolute or relative URI" of its target."""
        assert made(idp, reference=uri)["reference"] == uri

    @pytest.mark.parametrize("text", ["2026-01-31T08:00:00Z", ":a", "a b", "a_b:c", "<a>"])
    def test_what_is_no_uri_is_no_reference(self, idp: Idp, text: str) -> None:
        """RFC 3986 4.2: a first segment with a colon "would be mistaken for a scheme name"."""
        answer = idp.post("/TestResources", body(reference=text))
        assert refused(answer) == (400, "invalidValue", "reference: this is not a URI.")

    def test_one_value_is_no_list_and_a_list_is_no_value(self, idp: Idp) -> None:
        for name, value in (("string", ["a"]), ("strings", "a"), ("complex", [1]), ("complexes", {})):
            answer = idp.post("/TestResources", body(**{name: value}))
            assert refused(answer)[:2] == (400, "invalidValue")
        assert made(idp, complex=[], complexes=[], strings=None).keys().isdisjoint(("complex", "complexes"))

    def test_what_no_schema_has_is_refused(self, idp: Idp) -> None:
        for told in ({"shoe": 1}, {"complex": {"shoe": 1}}, {REQUIRED: {"code": "x", "shoe": 1}}):
            assert refused(idp.post("/TestResources", body(**told)))[:2] == (400, "invalidSyntax")


class TestRequired:
    @pytest.mark.parametrize(
        ("told", "where"),
        [
            ({"name": ""}, "name"),
            ({REQUIRED: None}, REQUIRED),
            ({REQUIRED: {"level": 1}}, f"{REQUIRED}:code"),
            ({"demanding": {"other": "x"}}, "demanding.needed"),
            ({"demandings": [{"value": "x"}, {"other": "x"}]}, "demandings[1].value"),
        ],
    )
    def test_what_is_required_is_asked_for(self, idp: Idp, told: dict[str, Any], where: str) -> None:
        resource = made(idp, "two")
        for answer in (
            idp.post("/TestResources", body() | told),
            idp.put(path_of(resource), body() | told),
        ):
            assert refused(answer) == (400, "invalidValue", f"{where}: this {_noun(where)} is required.")

    @pytest.mark.parametrize(
        "operation",
        [
            {"op": "remove", "path": "name"},
            {"op": "replace", "path": "name", "value": ""},
            {"op": "remove", "path": REQUIRED},
            {"op": "remove", "path": f"{REQUIRED}:code"},
            {"op": "remove", "path": "demanding.needed"},
            {"op": "replace", "path": "demanding", "value": {"needed": None}},
            {"op": "remove", "path": 'demandings[value eq "a"].value'},
        ],
        ids=str,
    )
    def test_a_patch_takes_nothing_away_that_is_required(self, idp: Idp, operation: dict[str, Any]) -> None:
        """RFC 7644 3.5.2.2: "If an attribute is removed or becomes unassigned and is defined as a required attribute
        ... a "scimType" error code of "mutability"."
        """
        resource = made(idp, demanding={"needed": "x"}, demandings=[{"value": "a", "other": "b"}])
        assert refused(idp.patch(path_of(resource), operation))[:2] == (400, "mutability")
        assert idp.get(path_of(resource)).json() == resource

    def test_what_a_patch_begins_is_complete(self, idp: Idp) -> None:
        path = path_of(made(idp))
        for operation in (
            {"op": "add", "path": "demanding.other", "value": "x"},
            {"op": "add", "path": "demandings", "value": [{"other": "x"}]},
        ):
            assert refused(idp.patch(path, operation))[:2] == (400, "invalidValue")
        both = [
            {"op": "add", "path": "demanding.other", "value": "x"},
            {"op": "add", "path": "demanding.needed", "value": "y"},
        ]
        assert idp.patch(path, *both).json()["demanding"] == {"other": "x", "needed": "y"}


def _noun(where: str) -> str:
    return "extension" if where == REQUIRED else "attribute"


class TestMutability:
    def test_what_is_read_only_is_ignored_in_a_body_and_refused_in_a_path(self, idp: Idp) -> None:
        told = {"readOnly": "x", "readOnlys": [{"value": "x"}], "mutabilities": {"readOnly": "x"}}
        resource = made(idp, **told)
        assert resource.keys().isdisjoint(told)
        path = path_of(resource)
        assert idp.put(path, body(**told)).json()["meta"] == resource["meta"], "nothing changed"
        for operation in (
            {"op": "replace", "path": "readOnly", "value": "x"},
            {"op": "add", "path": "readOnlys", "value": [{"value": "x"}]},
            {"op": "add", "path": "mutabilities.readOnly", "value": "x"},
        ):
            assert refused(idp.patch(path, operation))[:2] == (400, "mutability")
        assert idp.patch(path, {"op": "add", "value": told}).json()["meta"] == resource["meta"]

    @pytest.mark.parametrize(
        ("first", "other"),
        [
            ({"immutable": "a"}, {"immutable": "b"}),
            ({"immutables": ["a", "b"]}, {"immutables": ["a"]}),
            ({"mutabilities": {"immutable": "a"}}, {"mutabilities": {"immutable": "b"}}),
            ({OPTIONAL: {"immutable": "a"}}, {OPTIONAL: {"immutable": "b"}}),
        ],
        ids=["a value", "values", "a part", "in an extension"],
    )
    def test_what_is_immutable_is_given_once(
        self, idp: Idp, first: dict[str, Any], other: dict[str, Any]
    ) -> None:
        """RFC 7644 3.5.1: "If one or more values are already set for the attribute, the input value(s) MUST match"."""
        path = path_of(made(idp))
        given = idp.patch(path, {"op": "add", "value": first})
        assert {key: given.json()[key] for key in first} == first
        assert idp.put(path, body(**first)).status_code == 200
        assert idp.patch(path, {"op": "replace", "value": first}).json() == given.json()
        assert {key: idp.put(path, body()).json().get(key) for key in first} == first, "left out is kept"
        (name,) = first
        for answer in (
            idp.put(path, body(**other)),
            idp.patch(path, {"op": "replace", "value": other}),
            idp.patch(path, {"op": "remove", "path": name}),
        ):
            status, scim_type, detail = refused(answer)
            assert (status, scim_type) == (400, "mutability")
            assert detail.startswith(name)

    def test_the_order_of_values_says_nothing(self, idp: Idp) -> None:
        path = path_of(made(idp, immutables=["a", "b"]))
        assert idp.put(path, body(immutables=["b", "a"])).status_code == 200

    def test_an_immutable_part_stays_as_long_as_its_value(self, idp: Idp) -> None:
        path = path_of(made(idp, keeping=[{"value": "a", "note": "x"}, {"value": "b"}]))
        for operation in (
            {"op": "replace", "path": 'keeping[value eq "a"].value', "value": "c"},
            {"op": "replace", "path": 'keeping[note eq "x"]', "value": {"value": "c"}},
            {"op": "replace", "path": "keeping.value", "value": "c"},
            {"op": "remove", "path": 'keeping[value eq "a"].value'},
        ):
            assert refused(idp.patch(path, operation))[:2] == (400, "mutability")
        answer = idp.patch(
            path,
            {"op": "remove", "path": 'keeping[value eq "b"]'},
            {"op": "replace", "path": 'keeping[value eq "a"].note', "value": "y"},
            {"op": "add", "path": "keeping", "value": [{"value": "c"}]},
        )
        assert answer.json()["keeping"] == [{"value": "a", "note": "y"}, {"value": "c"}]

    def test_what_is_write_only_is_taken_and_never_shown(self, idp: Idp) -> None:
        told = {"writeOnly": "secret", "mutabilities": {"writeOnly": "secret", "readWrite": "a"}}
        resource = made(idp, **told)
        assert resource["mutabilities"] == {"readWrite": "a"}
        path = path_of(resource)
        for answer in (
            idp.get(path, attributes="writeOnly,mutabilities.writeOnly,mutabilities.readWrite"),
            idp.put(path, body(**told)),
            idp.patch(path, {"op": "replace", "path": "writeOnly", "value": "secret"}),
            idp.patch(path, {"op": "remove", "path": "writeOnly"}),
        ):
            assert answer.status_code == 200
            assert b"secret" not in answer.content
        assert refused(idp.put(path, body(writeOnly=7)))[:2] == (400, "invalidValue")


class TestReturned:
    def test_each_way(self, idp: Idp) -> None:
        told = {
            "always": "a",
            "onRequest": "r",
            "never": "hidden",
            "returns": {"byDefault": "d", "always": "a", "onRequest": "r", "never": "hidden"},
            OPTIONAL: {"always": "a", "onRequest": "r", "never": "hidden", "plain": "p"},
        }
        written = made(idp, **told)
        # RFC 7643 7, "request": "returned in response to any PUT, POST, or PATCH operations if the attribute was
        # specified by the client".
        assert written["onRequest"] == "r"
        assert written["returns"] == {"byDefault": "d", "always": "a", "onRequest": "r"}
        path = path_of(written)

        def shown(**asked: str) -> dict[str, Any]:
            answer: dict[str, Any] = idp.get(path, **asked).json()
            assert "hidden" not in str(answer)
            return {
                key: answer[key] for key in answer if key not in ("schemas", "id", "meta", "name", REQUIRED)
            }

        default = {
            "always": "a",
            "returns": {"byDefault": "d", "always": "a"},
            OPTIONAL: {"always": "a", "plain": "p"},
        }
        least = {"always": "a", OPTIONAL: {"always": "a"}}
        assert shown() == default
        assert shown(attributes="string") == least
        assert shown(attributes="onRequest,never") == least | {"onRequest": "r"}
        assert shown(attributes="returns") == least | {"returns": {"byDefault": "d", "always": "a"}}
        assert shown(attributes="returns.onRequest") == least | {"returns": {"always": "a", "onRequest": "r"}}
        assert shown(attributes="returns.never") == least | {"returns": {"always": "a"}}
        assert shown(attributes=OPTIONAL)[OPTIONAL] == {"always": "a", "plain": "p"}
        assert shown(attributes=f"{OPTIONAL}:onRequest")[OPTIONAL] == {"always": "a", "onRequest": "r"}
        assert shown(excludedAttributes="always,returns.always") == default
        assert shown(excludedAttributes="returns.byDefault")["returns"] == {"always": "a"}
        assert "returns" not in shown(excludedAttributes="returns")
        assert shown(excludedAttributes=OPTIONAL)[OPTIONAL] == {"always": "a"}
        assert idp.find("/TestResources", 'name eq "one"')[0]["always"] == "a"
        assert b"hidden" not in idp.get("/TestResources", attributes="never").content
        patched = idp.patch(path, {"op": "replace", "path": "returns.onRequest", "value": "s"}).json()
        assert patched["returns"] == {"byDefault": "d", "always": "a", "onRequest": "s"}
        assert "onRequest" not in patched


class TestUniqueness:
    @pytest.mark.parametrize(
        ("told", "same", "where"),
        [
            ({"name": "Ada"}, {"name": "ADA"}, "name"),
            ({"unique": "a"}, {"unique": "a"}, "unique"),
            ({"uniques": ["a", "b"]}, {"uniques": ["c", "B"]}, "uniques"),
            ({"uniqueInteger": 7}, {"uniqueInteger": 7}, "uniqueInteger"),
            (
                {"uniqueParts": [{"value": "a", "type": "x"}]},
                {"uniqueParts": [{"value": "A"}]},
                "uniqueParts.value",
            ),
            ({OPTIONAL: {"unique": "a"}}, {OPTIONAL: {"unique": "a"}}, f"{OPTIONAL}:unique"),
            ({"externalId": "7"}, {"externalId": "7"}, "externalId"),
        ],
        ids=[
            "the name",
            "with its case",
            "any of several",
            "a number",
            "a part",
            "in an extension",
            "externalId",
        ],
    )
    def test_no_two_resources_share_a_value(
        self, idp: Idp, other: Idp, told: dict[str, Any], same: dict[str, Any], where: str
    ) -> None:
        first = made(idp, **{"name": "first", **told})
        second = made(idp, "second")
        for answer in (
            idp.post("/TestResources", body() | same),
            idp.put(path_of(second), body() | same),
            idp.patch(path_of(second), {"op": "add", "value": same}),
        ):
            status, scim_type, detail = refused(answer)
            assert (status, scim_type) == (409, "uniqueness")
            assert detail.startswith(f"{where}: ")
        assert idp.put(path_of(first), body("first") | told).status_code == 200, "its own is no other's"
        made(other, **{"name": "first", **told})
        assert idp.delete(path_of(first)).status_code == 204
        assert idp.patch(path_of(second), {"op": "add", "value": same}).status_code == 200

    def test_case_tells_apart_what_is_case_exact(self, idp: Idp) -> None:
        made(idp, unique="a")
        made(idp, "two", unique="A")


class TestCanonicalValues:
    def test_one_of_them_is_asked_for(self, idp: Idp) -> None:
        resource = made(
            idp, colour="RED", exactColours=["red", "blue"], complexes=[{"value": "a", "type": "Work"}]
        )
        assert (resource["colour"], resource["exactColours"]) == ("RED", ["red", "blue"])
        for told, where in (
            ({"colour": "pink"}, "colour"),
            ({"exactColours": ["red", "Blue"]}, "exactColours[1]"),
            ({"complexes": [{"value": "a", "type": "moon"}]}, "complexes[0].type"),
        ):
            for answer in (
                idp.post("/TestResources", body("x", **told)),
                idp.patch(path_of(resource), {"op": "replace", "value": told}),
            ):
                status, scim_type, detail = refused(answer)
                assert (status, scim_type) == (400, "invalidValue")
                assert detail.startswith(where)


class TestPatch:
    def test_values_are_added_selected_and_removed(self, idp: Idp) -> None:
        path = path_of(made(idp, integers=[1, 2, 3], strings=["a"]))
        answer = idp.patch(
            path,
            {"op": "add", "path": "integers", "value": [3, 4]},
            {"op": "remove", "path": "integers[value lt 2]"},
            {"op": "replace", "path": "integers[value eq 4]", "value": 5},
            {"op": "add", "path": "strings", "value": "A"},
            {"op": "add", "path": f"{REQUIRED}:details.number", "value": 1.5},
            {"op": "add", "path": f"{REQUIRED}:tags", "value": ["t"]},
            {"op": "add", "path": 'complexes[type eq "work"].integer', "value": 7},
            {"op": "replace", "path": "complex.dateTime", "value": "2026-01-31T08:00:00Z"},
        )
        found = answer.json()
        assert found["integers"] == [2, 3, 5]
        assert found["strings"] == ["a"], "the same value, in another case"
        assert found[REQUIRED] == {"code": "x", "details": {"number": 1.5}, "tags": ["t"]}
        assert found["complexes"] == [{"type": "work", "integer": 7}]
        by_instant = {"op": "remove", "path": 'complexes[dateTime lt "2026-01-31T08:00:00Z"]'}
        assert idp.patch(path, by_instant).json()["meta"] == found["meta"], "nothing matched"
        assert refused(idp.patch(path, {"op": "replace", "path": "integers[value eq 9]", "value": 1}))[
            :2
        ] == (
            400,
            "noTarget",
        )

    def test_a_patch_that_changes_nothing_leaves_the_version_alone(self, idp: Idp) -> None:
        resource = made(idp, string="a", strings=["a"], complexes=[{"value": "a"}])
        answer = idp.patch(
            path_of(resource),
            {"op": "replace", "path": "string", "value": "a"},
            {"op": "add", "path": "strings", "value": ["a"]},
            {"op": "add", "path": "complexes", "value": [{"value": "A"}]},
            {"op": "remove", "path": "decimal"},
            {"op": "replace", "path": 'complexes[value eq "a"].value', "value": "a"},
        )
        assert answer.json() == resource

    def test_a_refused_patch_changes_nothing(self, idp: Idp) -> None:
        resource = made(idp, string="a")
        answer = idp.patch(
            path_of(resource),
            {"op": "replace", "path": "string", "value": "b"},
            {"op": "replace", "path": "colour", "value": "pink"},
        )
        assert answer.status_code == 400
        assert idp.get(path_of(resource)).json() == resource


def test_a_resource_lives_and_dies_on_record(idp: Idp, other: Idp) -> None:
    resource = made(idp, externalId="7")
    path = path_of(resource)
    assert other.get(path).status_code == 404
    assert error_of(other.delete(path))[0] == 404
    stale = {"If-Match": 'W/"9"'}
    assert error_of(idp.put(path, body(), headers=stale))[0] == 412
    assert error_of(idp.delete(path, headers=stale))[0] == 412
    assert idp.put(path, body(string="a")).json()["externalId"] == "7"
    assert idp.delete(path).status_code == 204
    assert error_of(idp.get(path)) == (404, None)
    assert error_of(idp.delete(path)) == (404, None)
    told = AuditRecord.objects.filter(object_id=resource["id"]).order_by("id")
    assert [row.reason for row in told] == ["resource:created", "resource:changed", "resource:deleted"]
    assert [row.changes[0]["attributes"] for row in told][1] == ["string"]


def test_the_type_is_filtered_by_its_schema(idp: Idp) -> None:
    made(idp, integers=[1, 5], dateTime="2026-01-31T08:00:00Z", **{OPTIONAL: {"plain": "P"}})
    made(idp, "two", integers=[2])
    for text, names in (
        ("integers gt 4", ["one"]),
        ('dateTime lt "2026-02-01T00:00:00Z"', ["one"]),
        (f'{OPTIONAL}:plain eq "p"', ["one"]),
        ('name sw "T"', ["two"]),
        (f'{REQUIRED}:code eq "x" and integers pr', ["one", "two"]),
    ):
        found = idp.find("/TestResources", text)
        assert [one["name"] for one in found] == names, text
    assert error_of(idp.get("/TestResources", filter='shoe eq "x"')) == (400, "invalidFilter")
