"""Filters: what they find, what they refuse, and that they never find more than they say."""

from functools import cached_property
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scim2_models.exceptions import InvalidFilterException

from provisioning.models import Account
from provisioning.selectors import accounts
from scim.filters import compiled, parsed
from scim.schemas import GROUP, USER
from tests.scim.clients import Idp, an_idp, error_of

pytestmark = pytest.mark.django_db

REFUSED = [
    'favouriteColour eq "blue"',
    'userName eq "unterminated',
    "userName eq",
    "userName",
    "eq",
    "()",
    'userName eq "a" and',
    'userName eq "a" xor externalId eq "b"',
    'userName lt "a"',
    'userName sw "a"',
    'userName ne "a"',
    "userName pr",
    'not (userName eq "a")',
    'title eq "x"',
    'password eq "x"',
    "active eq 7",
    'active eq "perhaps"',
    "userName eq true",
    "userName eq null",
    'emails[type eq "work"]',
    'emails[colour eq "x"]',
    'emails[type eq "work" or value eq "x"]',
    'emails[not (value eq "x")]',
    'emails[primary eq true].value eq "x"',
    'emails.type eq "work"',
    'name[givenName eq "x"]',
    'urn:example:2.0:User:userName eq "a"',
    'userName eq "a\\u0000b"',
    'userName eq "a\\ud800b"',
    'userName eq "a" and favouriteColour eq "blue"',
    'userName eq "a" or title eq "x"',
    "userName eq two words",
    "(" * 60 + 'userName eq "a"' + ")" * 60 + " and",
    " and ".join(['userName eq "a"'] * 2) + ' and not (userName eq "a")',
]


@pytest.mark.parametrize("condition", REFUSED)
def test_a_filter_that_cannot_be_is_refused_on_an_empty_table(idp: Idp, condition: str) -> None:
    """RFC 7644 3.12, invalidFilter: "the specified attribute and filter comparison combination is not supported"."""
    assert error_of(idp.get("/Users", filter=condition)) == (400, "invalidFilter")


def test_a_group_is_not_filtered_by_a_users_attribute(idp: Idp) -> None:
    assert error_of(idp.get("/Groups", filter='userName eq "a"')) == (400, "invalidFilter")


def test_a_deep_filter_is_refused_and_not_run(idp: Idp) -> None:
    condition = 'userName eq "a"'
    for _ in range(40):
        condition = f'(userName eq "a" and ({condition} or userName eq "b"))'
    assert error_of(idp.get("/Users", filter=condition)) == (400, "invalidFilter")


FOUND = {
    "userName without case": 'userName eq "ADA.Lovelace@x.example"',
    "names of attributes and operators without case": 'USERNAME Eq "ada.lovelace@x.example"',
    "a URN may qualify": 'urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada.lovelace@x.example"',
    "externalId": 'externalId eq "Ext-7"',
    "displayName without case": 'displayName eq "ada lovelace"',
    "an e-mail of one type, as Entra asks": 'emails[type eq "work"].value eq "Ada@work.example"',
    "an e-mail of one type, as the RFC has it": 'emails[type eq "WORK" and value eq "ada@work.example"]',
    "any e-mail": 'emails.value eq "ada@home.example"',
    "any e-mail, in short": 'emails eq "ada@home.example"',
    "active": "active eq true",
    'active as Entra writes it: "True"': 'active eq "True"',
    "and": 'userName eq "ada.lovelace@x.example" and externalId eq "Ext-7"',
    "or": 'userName eq "nobody" or externalId eq "Ext-7"',
    "and binds tighter than or": 'externalId eq "Ext-7" or userName eq "nobody" and active eq false',
    "parentheses": '(userName eq "nobody" or externalId eq "Ext-7") and active eq true',
    # Entra's tutorial: filter=externalId eq jyoung
    "an unquoted word": "externalId eq Ext-7",
    "an unquoted word in a tree": "(externalId eq Ext-7) and userName eq ada.lovelace@x.example",
    "an unquoted word beside a quoted one": 'externalId eq Ext-7 or displayName eq "a eq b"',
}


@pytest.mark.parametrize("condition", FOUND.values(), ids=FOUND)
def test_a_filter_finds(idp: Idp, condition: str) -> None:
    ada = idp.person(
        "Ada.Lovelace@x.example",
        externalId="Ext-7",
        displayName="Ada Lovelace",
        emails=[
            {"value": "ada@work.example", "type": "work"},
            {"value": "Ada@home.example", "type": "home"},
        ],
    )
    idp.person("bob", active=False, emails=[{"value": "bob@work.example", "type": "work"}])
    assert [found["id"] for found in idp.find("/Users", condition)] == [ada["id"]]
    assert [found["id"] for found in idp.find("/Users", f'id eq "{ada["id"]}"')] == [ada["id"]]


MISSED = [
    # RFC 7643 3.1: externalId is caseExact
    'externalId eq "ext-7"',
    'emails[type eq "home"].value eq "ada@work.example"',
    'id eq "7"',
    'id eq "00000000-0000-0000-0000-000000000000"',
    'userName eq "ada" and userName eq "bob"',
    'emails[type eq "work" and type eq "home" and value eq "ada@work.example"]',
    'userName eq "a%"',
    'userName eq "ad_"',
    'displayName eq "%"',
    'emails.value eq "work:ada@work.example"',
    'emails[type eq "wo" and value eq "rk:ada@work.example"]',
]


@pytest.mark.parametrize("condition", MISSED)
def test_a_filter_without_a_hit_is_an_empty_list(idp: Idp, condition: str) -> None:
    """RFC 7644 3.4.2: "SHALL return success (HTTP status code 200) with "totalResults" set to a value of 0"."""
    idp.person(
        "ada", externalId="Ext-7", displayName="Ada", emails=[{"value": "ada@work.example", "type": "work"}]
    )
    answer = idp.get("/Users", filter=condition)
    assert answer.status_code == 200
    assert (answer.json()["totalResults"], answer.json()["Resources"]) == (0, [])


def test_groups_are_found_by_name_and_key(idp: Idp) -> None:
    staff = idp.group("Staff", externalId="g-1")
    idp.group("Other")
    for condition in ('displayName eq "STAFF"', 'externalId eq "g-1"', f'id eq "{staff["id"]}"'):
        assert [found["id"] for found in idp.find("/Groups", condition)] == [staff["id"]]
    assert idp.find("/Groups", 'externalId eq "G-1"') == []


def test_a_group_is_found_by_its_members(idp: Idp, other: Idp) -> None:
    ada, bob = (idp.person(name)["id"] for name in ("ada", "bob"))
    both = idp.group("Both", [ada, bob])["id"]
    one = idp.group("One", [ada])["id"]
    found = {
        f'id eq "{one}" and members eq "{ada}"': [one],
        f'id eq "{one}" and members.value eq "{bob}"': [],
        f'members eq "{ada}" and members eq "{bob}"': [both],
        f'members eq "{ada}" or members eq "{bob}"': [both, one],
        'members eq "7"': [],
    }
    for condition, groups in found.items():
        assert [group["id"] for group in idp.find("/Groups", condition)] == groups
        assert other.find("/Groups", condition) == []


def test_the_quick_way_says_what_the_grammar_says() -> None:
    for condition in ('userName eq "a.b@x"', 'EXTERNALID  EQ  "ü #+%"', 'userName eq ""'):
        assert parsed(condition) == parsed(f"({condition})")


# The law: a filter finds exactly whom a plain reading of it would find, among this connection's people.
NAMES = ["ada", "bob", "eve", "%", "a_a"]
KEYS = ["k1", "K1", "k2"]
MAILS = ["a@x.org", "b@x.org", "%@x.org"]
TYPES = ["work", "home"]

_terms = st.one_of(
    st.tuples(st.just("userName"), st.sampled_from([*NAMES, "ADA", "nobody"])),
    st.tuples(st.just("externalId"), st.sampled_from([*KEYS, "nobody"])),
    st.tuples(st.just("displayName"), st.sampled_from([*NAMES, "EVE"])),
    st.tuples(st.just("active"), st.booleans()),
    st.tuples(st.just("emails.value"), st.sampled_from([*MAILS, "A@X.org"])),
    st.tuples(st.just("emails"), st.tuples(st.sampled_from(TYPES), st.sampled_from(MAILS))),
)
_trees = st.recursive(
    _terms,
    lambda inner: st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    max_leaves=6,
)


def text_of(tree: Any) -> str:
    head = tree[0]
    if head in ("and", "or"):
        return f"({text_of(tree[1])} {head} {text_of(tree[2])})"
    value = tree[1]
    if isinstance(value, tuple):
        return f'emails[type eq "{value[0]}"].value eq "{value[1]}"'
    return f"{head} eq {str(value).lower()}" if isinstance(value, bool) else f'{head} eq "{value}"'


def holds(tree: Any, person: dict[str, Any]) -> bool:
    """The oracle: the same tree, read over a plain resource."""
    head = tree[0]
    if head == "and":
        return holds(tree[1], person) and holds(tree[2], person)
    if head == "or":
        return holds(tree[1], person) or holds(tree[2], person)
    value, emails = tree[1], person.get("emails", [])
    if head == "active":
        return bool(person["active"] is value)
    if head == "emails.value":
        return any(email["value"].lower() == value.lower() for email in emails)
    if head == "emails":
        return any((email["type"], email["value"]) == value for email in emails)
    if head == "externalId":
        return bool(person.get("externalId") == value)
    return bool(person.get(head, "").lower() == value.lower())


class Population:
    """People with every mix of the values above, the same in both tenants and in a third connection."""

    def __init__(self, idp: Idp, other: Idp) -> None:
        self.idps = (idp, other, an_idp("acme"))
        for each in self.idps:
            for number, name in enumerate(NAMES):
                person: dict[str, Any] = {"active": number % 2 == 0, "displayName": NAMES[-1 - number]}
                if number < len(KEYS):
                    person["externalId"] = KEYS[number]
                if number:
                    person["emails"] = [
                        {"value": MAILS[number % 3], "type": TYPES[number % 2]},
                        {"value": MAILS[(number + 1) % 3], "type": TYPES[(number // 2) % 2]},
                    ]
                each.person(name, **person)

    @cached_property
    def people(self) -> dict[Any, list[dict[str, Any]]]:
        return {
            idp.connection.pk: [
                row.resource | {"id": row.pk} for row in Account.objects.filter(connection=idp.connection)
            ]
            for idp in self.idps
        }


@pytest.fixture
def population(idp: Idp, other: Idp) -> Population:
    return Population(idp, other)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=_trees)
def test_a_filter_never_widens(population: Population, tree: Any) -> None:
    for idp in population.idps:
        total, page = accounts.page(
            tenant_id=idp.tenant_id,
            connection_id=idp.connection.pk,
            conditions=compiled(USER, text_of(tree)),
            offset=0,
            limit=100,
        )
        wanted = {person["id"] for person in population.people[idp.connection.pk] if holds(tree, person)}
        assert {row.id for row in page} == wanted
        assert total == len(wanted)


@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    for kind in (USER, GROUP):
        try:
            compiled(kind, text)
        except InvalidFilterException:
            continue
