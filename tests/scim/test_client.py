"""A strict client that is not ours walks a running server: it discovers it, and validates every answer it gets.

scim2-client builds its models from what the server publishes, and refuses an attribute that no schema has, a
missing one that is required, a status or a media type that the RFC does not name.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from httpx2 import Client
from pytest_django.live_server_helper import LiveServer
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import (
    BulkOperation,
    BulkRequest,
    PatchOp,
    PatchOperation,
    ResponseParameters,
    SCIMException,
    SearchRequest,
)

from provisioning.models import DirectoryGroup, Entitlement
from provisioning.services import configuration
from tests.provisioning.cast import OPERATOR
from tests.scim.clients import ENTERPRISE_URN, Idp, an_idp

pytestmark = pytest.mark.django_db(transaction=True)


class Walker:
    """The client, with the models that it discovered."""

    def __init__(self, client: Client) -> None:
        self.scim = SyncSCIMClient(client)
        self.scim.discover()
        models = {name: self.scim.get_resource_model(name) for name in ("User", "Group")}
        self.user: Any = models["User"]
        self.group: Any = models["Group"]

    def person(self, name: str, **attributes: Any) -> Any:
        return self.scim.create(self.user(user_name=name, **attributes))

    def crowd(self, number: int) -> list[str]:
        """Their names in order; everybody has a title, and few of them differ."""
        names = [f"p{n:02}" for n in range(number)]
        for n, name in enumerate(names):
            self.person(name, title=f"Grade {n % 3}", display_name=f"Person {number - n:02}")
        return names

    def listed(self, model: Any, **asked: Any) -> Any:
        return self.scim.query(model, query_parameters=SearchRequest(**asked))

    def patched(self, resource: Any, *operations: PatchOperation[Any]) -> Any:
        return self.scim.modify(resource, PatchOp[type(resource)](operations=list(operations)))


@pytest.fixture
def idp(live_server: LiveServer) -> Idp:
    """Of the database that the running server sees."""
    return an_idp("acme")


@pytest.fixture
def walker(live_server: LiveServer, idp: Idp) -> Iterator[Walker]:
    with Client(
        base_url=f"{live_server.url}/scim/v2",
        headers={"Authorization": f"Bearer {idp.token}"},
        trust_env=False,
        timeout=60,
    ) as client:
        yield Walker(client)


def names(page: Any) -> list[str]:
    return [person.user_name for person in page.resources or []]


def test_it_discovers_what_the_server_can_do(walker: Walker) -> None:
    provider = walker.scim.provider
    config = provider.config
    told = (config.patch, config.bulk, config.filter, config.sort, config.etag)
    assert [one.supported for one in told] == [True] * 5
    assert (config.pagination.cursor, config.pagination.index) == (True, True)
    assert [one.name for one in provider.resource_types] == ["User", "Group"]
    assert ENTERPRISE_URN in [str(urn) for urn in walker.user.get_extension_models()]


def test_it_reads_the_roles_and_entitlements_of_mapped_groups(walker: Walker, idp: Idp) -> None:
    created = walker.scim.create(walker.group(display_name="Editors"))
    editors = DirectoryGroup.objects.get(pk=created.id)
    for name, kind in (("Editor", Entitlement.Kind.ROLE), ("Authors", Entitlement.Kind.GROUP)):
        given = configuration.create_entitlement(
            tenant=idp.where.tenant, name=name, kind=kind, actor=OPERATOR, reason="As agreed"
        )
        configuration.map_entitlement(entitlement=given, group=editors, actor=OPERATOR, reason="As agreed")
    # What it knew of the server is older than the mapping.
    again = SyncSCIMClient(walker.scim.client)
    again.discover()
    for name, given in (("Role", "Editor"), ("Entitlement", "Authors")):
        listed: Any = again.query(name)
        assert [(one.display_name, one.type) for one in listed.resources] == [(given, name)]
        assert again.query(name, listed.resources[0].id) == listed.resources[0]


def test_the_life_of_a_user(walker: Walker) -> None:
    scim = walker.scim
    enterprise = walker.user.get_extension_models()[ENTERPRISE_URN]
    ada = walker.user(
        user_name="ada@acme.example",
        external_id="7",
        name={"given_name": "Ada", "family_name": "Byron"},
        emails=[{"value": "ada@acme.example", "type": "work", "primary": True}],
    )
    ada[enterprise] = enterprise(employee_number="1815")
    ada = scim.create(ada)
    assert (ada.meta.location, ada.active) == (f"{settings.HUB_PUBLIC_URL}/scim/v2/Users/{ada.id}", True)
    assert scim.query(ada) == ada
    assert ada[enterprise].employee_number == "1815"

    brief = scim.query(walker.user, ada.id, ResponseParameters(attributes=["userName"]))
    assert (brief.id, brief.user_name, brief.name) == (ada.id, "ada@acme.example", None)

    ada = walker.patched(
        ada,
        PatchOperation(op="replace", path="name.familyName", value="Lovelace"),
        PatchOperation(op="add", path="emails", value=[{"value": "ada@home.example", "type": "home"}]),
        PatchOperation(op="remove", path=f"{ENTERPRISE_URN}:employeeNumber"),
    )
    assert ada.name.family_name == "Lovelace"
    assert [email.type for email in ada.emails] == ["work", "home"]
    assert ada[enterprise] is None

    ada = walker.patched(ada, PatchOperation(op="remove", path='emails[type eq "home"]'))
    ada = walker.patched(ada, PatchOperation(op="replace", path="active", value=False))
    assert ([email.type for email in ada.emails], ada.active) == (["work"], False)

    ada.nick_name, ada.active, ada.emails = "Countess", True, None
    replaced = scim.replace(ada)
    assert (replaced.nick_name, replaced.active, replaced.emails) == ("Countess", True, None)
    assert replaced.meta.version != ada.meta.version

    # `ada` still carries the version before, which the client sends as If-Match.
    with pytest.raises(SCIMException) as stale:
        walker.patched(ada, PatchOperation(op="replace", path="title", value="too late"))
    assert stale.value.status == 412
    assert scim.delete(replaced) is None
    with pytest.raises(SCIMException) as gone:
        scim.query(walker.user, replaced.id)
    assert gone.value.status == 404


def test_the_life_of_a_group(walker: Walker) -> None:
    scim = walker.scim
    ada, bob = walker.person("ada"), walker.person("bob")
    staff = scim.create(walker.group(display_name="Staff", members=[{"value": ada.id}]))
    assert [member.value for member in staff.members] == [ada.id]
    assert [group.value for group in scim.query(walker.user, ada.id).groups] == [staff.id]

    added = PatchOperation(op="add", path="members", value=[{"value": bob.id}])
    staff = walker.patched(staff, added)
    assert {member.value for member in staff.members} == {ada.id, bob.id}
    staff = walker.patched(staff, PatchOperation(op="remove", path=f'members[value eq "{ada.id}"]'))
    assert [member.value for member in staff.members] == [bob.id]
    found = walker.listed(walker.group, filter=f'members.value eq "{bob.id}"', sort_by="displayName")
    assert [group.id for group in found.resources] == [staff.id]
    slim = walker.listed(walker.group, excluded_attributes=["members"])
    assert [(group.display_name, group.members) for group in slim.resources] == [("Staff", None)]

    staff.display_name, staff.members = "Crew", None
    crew = scim.replace(staff)
    assert (crew.display_name, crew.members) == ("Crew", None)
    assert scim.delete(crew) is None
    assert walker.listed(walker.group).total_results == 0


def test_lists_are_filtered_and_sorted(walker: Walker) -> None:
    everybody = walker.crowd(7)
    some = walker.listed(walker.user, filter='title eq "grade 1" and userName gt "p01"')
    assert (some.total_results, names(some)) == (1, ["p04"])
    assert names(walker.listed(walker.user, sort_by="userName")) == everybody
    order = {"sort_by": "displayName", "sort_order": "ascending"}
    assert names(walker.listed(walker.user, **order)) == everybody[::-1]
    order = {"sort_by": "meta.created", "sort_order": "descending"}
    assert names(walker.listed(walker.user, **order)) == everybody[::-1]
    assert walker.listed(walker.user, filter='userName eq "nobody"').total_results == 0
    with pytest.raises(SCIMException) as refused:
        walker.listed(walker.user, filter='noSuch eq "1"')
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidFilter")


@pytest.mark.parametrize("order", [{}, {"sort_by": "title", "sort_order": "descending"}], ids=["", "sorted"])
def test_pages_by_index_and_by_cursor_lead_to_the_same_end(walker: Walker, order: dict[str, str]) -> None:
    everybody = walker.crowd(11)
    asked = {"filter": 'userName sw "p"', "count": 4, **order}
    by_index: list[str] = []
    while len(by_index) < len(everybody):
        page = walker.listed(walker.user, start_index=len(by_index) + 1, **asked)
        assert (page.total_results, page.start_index) == (11, len(by_index) + 1)
        assert page.items_per_page == len(page.resources)
        by_index += names(page)
    assert walker.listed(walker.user, start_index=12, **asked).items_per_page == 0

    by_cursor: list[str] = []
    cursor, pages = "", 0
    while cursor is not None:
        page = walker.listed(walker.user, cursor=cursor, **asked)
        by_cursor += names(page)
        cursor, pages = page.next_cursor, pages + 1
    assert (pages, by_cursor) == (3, by_index)
    assert sorted(by_index) == everybody


def test_searches_ask_one_type_or_all(walker: Walker) -> None:
    walker.crowd(3)
    walker.scim.create(walker.group(display_name="p-people"))
    asked = SearchRequest(filter='userName sw "p0"', sort_by="userName", count=2, attributes=["userName"])
    found = walker.scim.search(walker.user, asked)
    assert (found.total_results, names(found)) == (3, ["p00", "p01"])

    both = walker.scim.search(SearchRequest(filter='userName eq "p01" or displayName eq "p-people"'))
    assert [one.meta.resource_type for one in both.resources] == ["User", "Group"]
    everything: list[Any] = []
    cursor = ""
    while cursor is not None:
        page = walker.scim.search(SearchRequest(cursor=cursor, count=2))
        everything += page.resources or []
        cursor = page.next_cursor
    assert len({one.id for one in everything}) == len(everything) == 4


def test_a_bulk_creates_changes_and_deletes(walker: Walker) -> None:
    user, group = walker.user, walker.group
    old = walker.person("old")
    answer = walker.scim.bulk(
        BulkRequest[user | group](
            operations=[
                BulkOperation[group](
                    method="POST",
                    path="/Groups",
                    bulk_id="staff",
                    data=group(display_name="Staff", members=[{"value": "bulkId:ada"}]),
                ),
                BulkOperation[user](
                    method="POST", path="/Users", bulk_id="ada", data=user(user_name="ada", external_id="7")
                ),
                BulkOperation[user](method="POST", path="/Users", bulk_id="twin", data=user(user_name="old")),
                BulkOperation[user](method="DELETE", path=f"/Users/{old.id}"),
            ]
        )
    )
    ended = {one.bulk_id or "deleted": one for one in answer.operations}
    assert {name: one.status for name, one in ended.items()} == {
        "staff": 201,
        "ada": 201,
        "twin": 409,
        "deleted": 204,
    }
    assert ended["twin"].response.scim_type == "uniqueness"
    ada = walker.listed(user, filter='userName eq "ada"').resources[0]
    staff = walker.listed(group).resources[0]
    assert [member.value for member in staff.members] == [ada.id]
    assert ended["ada"].location.endswith(f"/Users/{ada.id}")
