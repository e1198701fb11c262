"""RFC 7644 3.14: a write may ask for a version, and a read for anything newer."""

import pytest

from tests.scim.clients import Idp, error_of

pytestmark = pytest.mark.django_db


def test_a_write_for_another_version_is_refused(idp: Idp) -> None:
    ada = idp.person("ada")
    path, old = f"/Users/{ada['id']}", {"If-Match": ada["meta"]["version"]}
    operation = {"op": "replace", "path": "title", "value": "C"}
    assert idp.patch(path, operation, headers=old).status_code == 200
    for refused in (
        idp.patch(path, operation, headers=old),
        idp.put(path, {"userName": "ada"}, headers=old),
        idp.delete(path, headers=old),
    ):
        assert error_of(refused) == (412, None)
    assert idp.delete(path, headers={"If-Match": 'W/"2"'}).status_code == 204


@pytest.mark.parametrize("tag", ["*", '"1"', 'W/"1"', 'W/"9", W/"1"'])
def test_a_version_may_be_written_in_several_ways(idp: Idp, tag: str) -> None:
    path = f"/Users/{idp.person('ada')['id']}"
    assert idp.put(path, {"userName": "ada"}, headers={"If-Match": tag}).status_code == 200


def test_what_has_not_changed_is_not_sent_again(idp: Idp) -> None:
    path = f"/Users/{idp.person('ada')['id']}"
    answer = idp.send("GET", path, headers={"If-None-Match": 'W/"1"'})
    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", 'W/"1"')
    assert idp.send("GET", path, headers={"If-None-Match": 'W/"2"'}).status_code == 200


def test_another_order_of_values_is_no_change(idp: Idp) -> None:
    """RFC 7643 2.4: the order of an attribute's values says nothing."""
    values = [{"value": "1", "type": "work"}, {"value": "2", "type": "home"}]
    ada = idp.person("ada", phoneNumbers=values)
    path = f"/Users/{ada['id']}"
    turned = values[::-1]
    assert idp.patch(path, {"op": "replace", "path": "phoneNumbers", "value": turned}).json() == ada
    assert idp.put(path, {"userName": "ada", "phoneNumbers": turned}).json() == ada


def test_a_group_that_loses_a_deleted_member_is_another_version(idp: Idp) -> None:
    ada, ben = (idp.person(name)["id"] for name in ("ada", "ben"))
    group, beside = idp.group("Staff", [ada, ben]), idp.group("Others", [ben])
    path = f"/Groups/{group['id']}"
    assert idp.delete(f"/Users/{ada}").status_code == 204
    old = {"If-Match": 'W/"1"'}
    assert error_of(idp.patch(path, {"op": "remove", "path": "members"}, headers=old)) == (412, None)
    answer = idp.send("GET", path, headers={"If-None-Match": 'W/"1"'})
    assert (answer.status_code, answer["ETag"]) == (200, 'W/"2"')
    assert answer.json()["meta"]["lastModified"] >= group["meta"]["lastModified"]
    assert idp.get(f"/Groups/{beside['id']}")["ETag"] == 'W/"1"'
