"""The order of a list is scim2-models' order, and its pages by cursor are that list, whole."""

from random import Random
from typing import Any

import pytest
from django.db import connection as database
from scim2_models import ScimPolicy, SearchRequest
from scim2_models.exceptions import InvalidValueException

from scim.filters import compile_filter
from scim.schemas import GROUP, USER, ResourceKind, with_extensions
from scim.sorting import Position, Sorting, sorting
from tests.scim import rows, worlds
from tests.scim.worlds import MODELS, OWN_USER, THING, World, folded, leaves_of

pytestmark = pytest.mark.django_db

EVERYBODY = compile_filter(OWN_USER, "id pr")


def _paths(kind: ResourceKind) -> list[str]:
    """Everything that has an order."""
    found = ["emails", f"{kind.urn}:displayName"] if kind is OWN_USER else []
    for leaf in leaves_of(kind):
        derived = leaf.path.startswith(("groups", "members", "schemas"))
        # The oracle's documents say every primary, which the rows do not.
        if leaf.attribute.type != "binary" and not derived and leaf.name != "primary":
            found.append(leaf.path)
    return found


def _pages(world: World, where: Any, order: Sorting, size: int) -> list[Any]:
    """The ids of all pages, each of which begins behind the last row of the one before."""
    found: list[Any] = []
    position: Position | None = None
    while True:
        condition = order.after(position) if position else compile_filter(world.kind, "id pr")
        answer = rows.found(where, world.alias, condition, order=order.order, keys=order.keys or "NULL")
        found += [row[0] for row in answer[:size]]
        if len(answer) <= size:
            return found
        last = answer[size - 1]
        position = Position(id=last[0], key=last[1])


@pytest.mark.parametrize(
    ("kind", "made"), [(OWN_USER, worlds.people), (GROUP, worlds.groups), (THING, worlds.things)]
)
def test_the_order_is_the_oracles(kind: ResourceKind, made: Any) -> None:
    if database.pg_version < 180000:
        pytest.skip("Before PostgreSQL 18 a final sigma is folded in another way than Python does it.")
    world = made(Random(7644))
    where = world.connections[0]
    models = world.models[where.pk]
    for path in _paths(kind):
        for direction in ("ascending", "descending"):
            request = SearchRequest[MODELS[kind.name]](sort_by=path, sort_order=direction)  # type: ignore[misc]
            order = sorting(kind, path, direction)
            listed = _pages(world, where, order, 1000)
            with ScimPolicy(comparison_key=folded):
                values = [request.sort_value(models[pk]) for pk in listed]
                assert values == [request.sort_value(model) for model in request.sort(models.values())], path
            assert sorted(listed) == sorted(models), path
            assert _pages(world, where, order, 7) == listed, path


def test_ties_are_settled_by_id_in_the_same_direction(db: None) -> None:
    where = World(USER).connections[0]
    made = rows.accounts(rows.account(where, {"title": "Dr"}) for _ in range(5))
    ids = sorted(row.pk for row in made)
    for direction, wanted in (("ascending", ids), ("descending", ids[::-1]), ("Descending", ids[::-1])):
        order = sorting(USER, "title", direction)
        assert rows.found(where, "a", EVERYBODY, order=order.order) == wanted


REFUSED = {
    "an attribute that the schema has not": ("favouriteColour", ""),
    "a sub-attribute that the schema has not": ("name.nick", ""),
    "an extension's attribute without its schema": ("department", ""),
    "an object": ("name", ""),
    "elements without a value": ("addresses", ""),
    "a selection": ('emails[type eq "work"]', ""),
    "no path": ("userName;", ""),
    "a long text": ("a" * 5000, ""),
    "a binary": ("x509Certificates", ""),
    "the password": ("password", ""),
    "an address that the server makes": ("meta.location", ""),
    "memberships": ("groups.display", ""),
    "another order": ("userName", "sideways"),
    "half a surrogate pair": ("\ud800", ""),
}


@pytest.mark.parametrize(("by", "order"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_order_is_refused(by: str, order: str) -> None:
    """RFC 7644 3.12, invalidValue: "not compatible with the operation or attribute type, or resource schema"."""
    with pytest.raises(InvalidValueException):
        sorting(USER, by, order)


def test_what_is_never_shown_is_not_told_by_an_order() -> None:
    own = {
        "id": "urn:x:y",
        "name": "Y",
        "attributes": [{"name": "secret", "type": "string", "returned": "never"}],
    }
    with pytest.raises(InvalidValueException):
        sorting(with_extensions(USER, [(own, False)]), "urn:x:y:secret")


def test_long_values_are_told_apart_by_their_beginning(db: None) -> None:
    """A cursor carries the value in a URL."""
    where = World(USER).connections[0]
    made = rows.accounts(rows.account(where, {"nickName": "x" * 5000 + str(n)}) for n in range(3))
    order = sorting(USER, "nickName")
    found = rows.found(where, "a", EVERYBODY, order=order.order, keys=order.keys)
    assert [row[0] for row in found] == sorted(row.pk for row in made)
    assert max(len(key) for _, key in found) <= 256


@pytest.mark.parametrize(
    ("by", "index"),
    [("", "account_page"), ("userName", "account_by_name"), ("meta.lastModified", "account_by_change")],
)
@pytest.mark.parametrize("direction", ["ascending", "descending"])
def test_an_index_leads_to_any_page(by: str, index: str, direction: str, db: None) -> None:
    """Page 990 costs what page 1 costs: nothing is sorted, nothing is skipped, and nobody is passed by of the many
    others who came later."""
    where, beside, _ = World(USER).connections
    made = rows.accounts(
        rows.account(where if n < 600 else beside, {"userName": f"p{n:04}"}) for n in range(3001)
    )
    order = sorting(USER, by, direction)
    assert not order.scans
    last = made[300]
    key = {"": None, "userName": last.user_name_key, "meta.lastModified": str(last.updated_at)}[by]
    behind = order.after(Position(id=last.pk, key=key))
    with database.cursor() as cursor:
        cursor.execute("ANALYZE provisioning_account")
        cursor.execute(
            "EXPLAIN SELECT a.id FROM provisioning_account a WHERE a.tenant_id = %s AND a.connection_id = %s "  # noqa: S608
            f"AND a.deleted_at IS NULL AND ({behind.text}) ORDER BY {order.order} LIMIT 100",
            (where.tenant_id, where.pk, *behind.parameters),
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert index in plan, plan
    # Names are unique, so that an incremental sort never holds more than one row.
    assert "Sort" not in plan.replace("Incremental Sort", "").replace("Sort Key", "")


@pytest.mark.parametrize("by", ["externalId", "meta.created", "title", "emails"])
def test_no_index_serves_any_other_order(by: str) -> None:
    """It has its time, as a filter that no index serves."""
    assert sorting(USER, by).scans
