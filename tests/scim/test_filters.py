"""Filters: what they find, what they refuse, and that they never find more than they say."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import ScimFilter
from scim2_models.exceptions import InvalidFilterException, TooManyException

from provisioning.models import Account, Connection
from provisioning.selectors.conditions import Condition
from scim.filter_limits import MAX_DEPTH, MAX_LENGTH, MAX_TERMS
from scim.filters import compile_filter, parsed
from scim.schemas import GROUP, USER, kind_of, with_extensions
from tests.scim import rows
from tests.scim.clients import ENTERPRISE_URN, Idp, an_idp, error_of

pytestmark = pytest.mark.django_db

OWN_URN = "urn:example:2.0:Own"
OWN: dict[str, Any] = {
    "id": OWN_URN,
    "name": "Own",
    "attributes": [
        {"name": "code", "type": "string", "caseExact": True},
        {"name": "secret", "type": "string", "returned": "never"},
        {"name": "pin", "type": "string", "mutability": "writeOnly"},
        {"name": "badge", "type": "binary"},
        {"name": "level", "type": "integer"},
        {"name": "since", "type": "dateTime"},
        {"name": "tags", "type": "string", "multiValued": True},
        {
            "name": "keys",
            "type": "complex",
            "multiValued": True,
            "subAttributes": [{"name": "value", "type": "string", "returned": "never"}],
        },
        {"name": "o'clock%s", "type": "string"},
    ],
}
KIND = with_extensions(USER, [(OWN, False)])
THING = kind_of("Thing", "/Things", OWN, own=True)

REFUSED = {
    "an attribute that the schema has not": 'favouriteColour eq "blue"',
    "a sub-attribute that the schema has not": 'name.nick eq "x"',
    "a sub-attribute of what has none": 'userName.part eq "x"',
    "a sub-attribute in brackets that the schema has not": 'emails[colour eq "x"]',
    "a schema that there is none of": 'urn:example:2.0:User:userName eq "a"',
    "an extension's attribute without its schema": 'department eq "x"',
    "a string without an end": 'userName eq "unterminated',
    "no value": "userName eq",
    "no operator": "userName",
    "an operator alone": "eq",
    "nothing": "",
    "nothing in parentheses": "()",
    "half a conjunction": 'userName eq "a" and',
    "an operator that there is none of": 'userName eq "a" xor externalId eq "b"',
    "too many words": "userName eq two words",
    "a number for a boolean": "active eq 7",
    "a word for a boolean": 'active eq "perhaps"',
    "a boolean for a text": "userName eq true",
    "a text for a number": f'{OWN_URN}:level eq "5"',
    "no date": 'meta.created gt "yesterday"',
    "a date behind the end of all time": 'meta.created gt "9999-12-31T23:59:59.9999Z"',
    "an offset that leads out of time": 'meta.created gt "0001-01-01T00:00:00+14:00"',
    "null with an order": "userName gt null",
    "null within a text": "userName co null",
    "the order of a boolean": "active gt true",
    "a part of a boolean": 'active co "t"',
    "the order of a binary": f'{OWN_URN}:badge gt "YQ=="',
    "a part of a binary": f'{OWN_URN}:badge co "YQ=="',
    "a part of a number": f"{OWN_URN}:level co 5",
    "a part of a date": f'{OWN_URN}:since sw "2026"',
    "a whole object": 'name eq "x"',
    "elements without a value": 'addresses eq "x"',
    "brackets at a single value": 'name[givenName eq "x"]',
    "brackets in brackets": 'emails[type eq "work" and emails[value pr]]',
    "a schema's name in brackets": f'emails[{OWN_URN}:code eq "x"]',
    "another name for a simple element": f'{OWN_URN}:tags[name eq "x"]',
    "the password": 'password eq "x"',
    "what is never shown": f'{OWN_URN}:secret sw "x"',
    "what can only be written": f"{OWN_URN}:pin pr",
    "what is never shown, in short": f'{OWN_URN}:keys sw "x"',
    "what is never shown, in brackets": f"{OWN_URN}:keys[value pr]",
    "an address that the server makes": 'meta.location co "x"',
    "a reference that the server makes": 'groups.$ref co "x"',
    "NUL": 'userName eq "a\\u0000b"',
    "half a surrogate pair": 'userName eq "a\\ud800b"',
    "half a surrogate pair, raw": 'title co "a\ud800b"',
    "one bad term beside a good one": 'userName eq "a" and favouriteColour eq "blue"',
    "one bad term as an alternative": 'userName eq "a" or favouriteColour eq "blue"',
    "one bad term, negated": 'not (favouriteColour eq "blue")',
}

TOO_MUCH = {
    "a deep nest": "(" * (MAX_DEPTH + 1) + 'userName eq "a"' + ")" * (MAX_DEPTH + 1),
    "a nest of nothing": "(" * 4000,
    "a deep tree": "not (" * 33 + 'userName eq "a"' + ")" * 33,
    "a tree that is deeper than its brackets": "title pr or userName pr and not (" * 11
    + "title pr"
    + ")" * 11,
    "a long text": f'userName eq "{"a" * MAX_LENGTH}"',
    "many terms": " or ".join(["title pr"] * (MAX_TERMS + 1)),
    "many terms in brackets": f"emails[{' or '.join(['value pr'] * MAX_TERMS)}]",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_a_filter_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(InvalidFilterException):
        compile_filter(KIND, text)


@pytest.mark.parametrize("text", TOO_MUCH.values(), ids=TOO_MUCH)
def test_a_filter_that_says_too_much_is_refused(text: str) -> None:
    """RFC 7644 3.12, tooMany: more "than the server is willing to calculate or process"."""
    with pytest.raises(TooManyException):
        compile_filter(KIND, text)


@pytest.mark.parametrize("text", TOO_MUCH.values(), ids=TOO_MUCH)
def test_it_is_refused_at_every_address(idp: Idp, text: str) -> None:
    too_many = (400, "tooMany")
    assert error_of(idp.get("/Users", filter=text)) == too_many
    assert error_of(idp.post("/.search", {"filter": text})) == too_many
    path = f"/Users/{idp.person('ada')['id']}"
    inside = text.removeprefix("emails[").removesuffix("]")
    # In a path the brackets are no term of their own.
    operation = {"op": "remove", "path": f"emails[{inside} or value pr]"}
    assert error_of(idp.patch(path, operation)) == too_many


@pytest.mark.parametrize("path", ["/Users", "/Groups"])
def test_it_is_refused_on_an_empty_table(idp: Idp, path: str) -> None:
    """RFC 7644 3.12, invalidFilter: "the specified attribute and filter comparison combination is not supported"."""
    assert error_of(idp.get(path, filter='favouriteColour eq "blue"')) == (400, "invalidFilter")


NAMED = {
    'favouriteColour eq "x"': "favouriteColour",
    "active gt true": "active",
    'emails[primary co "x"]': "emails.primary",
    f'{ENTERPRISE_URN}:department gt 5 and {ENTERPRISE_URN}:manager eq "x"': f"{ENTERPRISE_URN}:manager",
}


@pytest.mark.parametrize(("text", "path"), NAMED.items())
def test_a_refusal_names_the_attribute(text: str, path: str) -> None:
    with pytest.raises(InvalidFilterException) as refused:
        compile_filter(KIND, text)
    assert refused.value.detail.startswith(f"{path}: ")


@pytest.fixture
def where(db: None) -> Connection:
    return an_idp("acme").connection


ADA: dict[str, Any] = {
    "userName": "Ada.Lovelace@x.example",
    "externalId": "Ext-7",
    "displayName": "Ada Lovelace",
    "title": 'Dr. 50% O\'Hara \\ "x"',
    "nickName": "ΟΔΟΣ",
    "active": True,
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "emails": [
        {"value": "ada@work.example", "type": "work"},
        {"value": "Ada@home.example", "type": "home", "primary": True},
    ],
    "addresses": [{"locality": "London"}],
    ENTERPRISE_URN: {"department": "Engines", "manager": {"value": "M-1"}},
    OWN_URN: {
        "code": "ΟΔΟΣΑ-Ab",
        "level": 5,
        "since": "2026-01-01T02:00:00+02:00",
        "tags": ["red", "Blue"],
        "o'clock%s": "tea",
    },
}
BOB: dict[str, Any] = {
    "userName": "bob",
    "active": False,
    "emails": [{"value": "bob@work.example", "type": "work"}],
    "addresses": [{"locality": "Paris", "country": "FR"}],
}
CHANGED = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)

FOUND = {
    "userName without case": 'userName eq "ADA.Lovelace@x.example"',
    "names of attributes and operators without case": 'USERNAME Eq "ada.lovelace@x.example"',
    "a URN may qualify": 'urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada.lovelace@x.example"',
    "the beginning of userName": 'userName sw "ADA."',
    "its end": 'userName ew "X.example"',
    "a part of it": 'userName co "LOVE"',
    "its order": 'userName lt "b"',
    "externalId": 'externalId eq "Ext-7"',
    "the beginning of externalId": 'externalId sw "Ext"',
    "displayName without case": 'displayName eq "ada lovelace"',
    "what LIKE would take for a pattern": 'title co "50%"',
    "an underscore is itself": 'title co "50%" and not (title co "5_%")',
    "a quote, a backslash": 'title eq "Dr. 50% O\'Hara \\\\ \\"x\\""',
    "a part of a name": 'name.familyName sw "LOVE"',
    "an e-mail of one type, as Entra asks": 'emails[type eq "work"].value eq "Ada@work.example"',
    "an e-mail of one type, as the RFC has it": 'emails[type eq "WORK" and value eq "ada@work.example"]',
    "either of two": 'emails[type eq "home" or value sw "nobody"]',
    "any e-mail": 'emails.value eq "ada@home.example"',
    "any e-mail, in short": 'emails co "home.example"',
    "the primary e-mail": 'emails[primary eq true and value sw "ada"]',
    "primary as Entra writes it": 'emails[primary eq "True"]',
    "an element that lacks something": "addresses[country eq null]",
    "presence": "displayName pr",
    "presence of an object": f"{ENTERPRISE_URN}:manager pr",
    "absence": "not (title eq null)",
    "an extension's attribute": f'{ENTERPRISE_URN}:department eq "engines"',
    "a part of an extension's attribute": f'{ENTERPRISE_URN}:manager.value eq "M-1"',
    "an attribute of one's own, with case": f'{OWN_URN}:code ew "Ab"',
    "a beginning that ends in a capital sigma": f'{OWN_URN}:code sw "ΟΔΟΣ"',
    "a number": f"{OWN_URN}:level gt 4.5",
    "one instant in another zone": f'{OWN_URN}:since eq "2026-01-01T00:00:00Z"',
    "an element of a plain list": f'{OWN_URN}:tags eq "blue"',
    "an element of a plain list, in brackets": f'{OWN_URN}:tags[value sw "bl"]',
    "a schema": f'schemas eq "{OWN_URN}"',
    "active": "active eq true",
    'active as Entra writes it: "True"': 'active eq "True"',
    "not active": "active ne false",
    "and": 'userName eq "ada.lovelace@x.example" and externalId eq "Ext-7"',
    "or": 'userName eq "nobody" or externalId eq "Ext-7"',
    "and binds tighter than or": 'externalId eq "Ext-7" or userName eq "nobody" and active eq false',
    "parentheses": '(userName eq "nobody" or externalId eq "Ext-7") and active eq true',
    "not": 'not (userName eq "bob")',
    "ne": 'userName ne "BOB"',
    "the millisecond that a client read": 'meta.lastModified eq "2026-03-01T12:00:00.123Z"',
    "since a moment": 'meta.lastModified ge "2026-03-01T12:00:00.123Z"',
    "after a moment": 'meta.lastModified gt "2026-03-01T12:00:00.122Z"',
    "a version": 'meta.version eq "W/\\"7\\""',
    # Entra's tutorial: filter=externalId eq jyoung
    "an unquoted word": "externalId eq Ext-7",
    "an unquoted word in a tree": "(externalId eq Ext-7) and userName eq ada.lovelace@x.example",
    "an unquoted word beside a quoted one": 'externalId eq Ext-7 or displayName eq "a eq b"',
}


@pytest.mark.parametrize("text", FOUND.values(), ids=FOUND)
def test_a_filter_finds(where: Connection, text: str) -> None:
    ada, _ = rows.accounts(
        [
            rows.account(where, ADA, version=7, updated_at=CHANGED),
            rows.account(where, BOB, updated_at=CHANGED.replace(year=2025)),
        ]
    )
    assert rows.found(where, "a", compile_filter(KIND, text)) == [ada.pk]
    assert rows.found(where, "a", compile_filter(KIND, f'id eq "{ada.pk}"')) == [ada.pk]


MISSED = {
    "externalId in another case": 'externalId eq "ext-7"',
    "the value of one e-mail with the type of another": 'emails[type eq "home"].value eq "ada@work.example"',
    "what is no id": 'id eq "7"',
    "nobody's id": 'id eq "00000000-0000-0000-0000-000000000000"',
    "two at once": 'userName eq "ada.lovelace@x.example" and userName eq "bob"',
    "two types at once": 'emails[type eq "work" and type eq "home"]',
    "a percent sign": 'userName sw "a%"',
    "an underscore": 'userName sw "ad_"',
    "a key of the index": 'emails.value eq "work:ada@work.example"',
    "a key of the index in two parts": 'emails[type eq "wo" and value eq "rk:ada@work.example"]',
    "nothing of the value": 'name.familyName sw "Byron"',
    "the millisecond before": 'meta.lastModified lt "2025-03-01T12:00:00.123Z"',
    "a moment that is shown to nobody": 'meta.lastModified eq "2026-03-01T12:00:00.1234Z"',
    "a beginning that the last character ends": 'userName sw "\U0010ffff"',
}


@pytest.mark.parametrize("text", MISSED.values(), ids=MISSED)
def test_a_filter_misses(where: Connection, text: str) -> None:
    rows.accounts(
        [rows.account(where, ADA, updated_at=CHANGED), rows.account(where, BOB, updated_at=CHANGED)]
    )
    assert rows.found(where, "a", compile_filter(KIND, text)) == []


def test_nothing_is_found_among_the_deleted_and_in_other_connections(where: Connection) -> None:
    beside = an_idp("acme").connection
    rows.accounts([rows.account(where, ADA, deleted_at=CHANGED), rows.account(beside, ADA)])
    for text in ('userName eq "bob" or title pr', 'emails eq "ada@work.example"', 'title ne "x"'):
        assert rows.found(where, "a", compile_filter(USER, text)) == []


def test_a_schema_that_changed_breaks_no_query(where: Connection) -> None:
    """What was a word may be a number by now, and what was single a list."""
    old = {
        "userName": "ada",
        OWN_URN: {"level": "five", "since": "2026-W01-1", "tags": "red", "code": {"x": 1}},
    }
    ada, *_ = rows.accounts([rows.account(where, old)])
    expected = {f"{OWN_URN}:level gt 1": [], f'{OWN_URN}:since gt "2020-01-01T00:00:00Z"': []}
    expected |= {f'{OWN_URN}:code co "x"': [ada.pk], f'{OWN_URN}:tags eq "red"': [ada.pk]}
    for text, found in expected.items():
        assert rows.found(where, "a", compile_filter(KIND, text)) == found


def test_groups_are_found(where: Connection) -> None:
    ada, bob, gone = rows.accounts(
        [rows.account(where, ADA), rows.account(where, BOB), rows.account(where, {}, deleted_at=CHANGED)]
    )
    staff = rows.group(where, "Staff", [ada, bob, gone], external_id="g-1").pk
    one = rows.group(where, "One", [ada]).pk
    none = rows.group(where, "None").pk
    rows.group(an_idp("globex").connection, "Staff", external_id="g-1")
    cases: dict[str, list[Any]] = {
        'displayName eq "STAFF"': [staff],
        'displayName sw "st" or displayName ew "NE"': [staff, one, none],
        'externalId eq "g-1"': [staff],
        'externalId eq "G-1"': [],
        "externalId pr": [staff],
        f'id eq "{one}" and members eq "{ada.pk}"': [one],
        f'id eq "{one}" and members.value eq "{bob.pk}"': [],
        f'members eq "{ada.pk}" and members eq "{bob.pk}"': [staff],
        f'members[value eq "{ada.pk}"]': [staff, one],
        f'members.value eq "{gone.pk}"': [],
        'members.display sw "bo"': [staff],
        'members[display co "ADA" and type eq "User"]': [staff, one],
        "members pr": [staff, one],
        "not (members pr)": [none],
        "members eq null": [none],
        'members eq "7"': [],
    }
    for text, found in cases.items():
        assert rows.found(where, "g", compile_filter(GROUP, text)) == found, text
    of_ada = compile_filter(USER, f'groups.value eq "{one}"')
    assert rows.found(where, "a", of_ada) == [ada.pk]
    assert rows.found(
        where, "a", compile_filter(USER, 'groups[display eq "staff"] and groups.display eq "one"')
    ) == [ada.pk]
    with pytest.raises(InvalidFilterException):
        compile_filter(GROUP, 'userName eq "a"')


def test_resources_that_are_nothing_but_data_are_found(where: Connection) -> None:
    one = rows.data(where, "Thing", {"externalId": "x", "code": "A", "level": 3}).pk
    rows.data(where, "Thing", {"code": "a"})
    for text in (
        'code eq "A"',
        'externalId eq "x"',
        "level lt 4",
        'meta.resourceType eq "Thing" and level pr',
    ):
        assert rows.found(where, "d", compile_filter(THING, text)) == [one]


TREES = [
    'userName eq "a.b@x"',
    'EXTERNALID  EQ  "ü #+%"',
    'userName eq ""',
    'title eq "0" and (level eq 1 or not (title co "a\\"b\\\\") and active eq true)',
    'emails[type eq "\\u00e9\\n" and value pr or display ne null].value sw "x y"',
]


@pytest.mark.parametrize("text", TREES)
def test_the_tree_of_a_shape_is_the_tree_of_the_text(text: str) -> None:
    assert parsed(text) == ScimFilter(text).ast


@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(st.sampled_from(["a eq ", '"', "\\", " and ", "b", "\\u00", "\n"]), max_size=12).map(
            "".join
        ),
    )
)
def test_no_text_is_read_in_another_way_than_the_parser_reads_it(text: str) -> None:
    try:
        tree = ScimFilter(text).ast
    except InvalidFilterException:
        return
    assert parsed(text) == tree


def test_the_statement_depends_on_the_shape_alone() -> None:
    """The database plans it once; no value is ever part of it."""
    for text in ('title co "{}"', 'emails[type eq "{}" and value sw "{}"]', f'{OWN_URN}:code ge "{{}}"'):
        one, other = (compile_filter(KIND, text.replace("{}", value)) for value in ("abc", "x%s' --"))
        assert one.text == other.text
        assert one.parameters != other.parameters


# Of few rows one index is as good as the other.
USER_NAME = "account_user_name_once|account_by_name"
EXTERNAL_ID = "account_external_id_once|account_by_external_id"
SERVED = {
    'userName eq "p7@x.org"': USER_NAME,
    'userName sw "p77"': USER_NAME,
    'userName ge "p999"': USER_NAME,
    'externalId eq "k7"': EXTERNAL_ID,
    'externalId sw "k77"': EXTERNAL_ID,
    'externalId sw "l"': EXTERNAL_ID,
    'externalId gt "k999"': EXTERNAL_ID,
    'externalId ge "k998" and externalId lt "k999"': EXTERNAL_ID,
    'emails eq "p7@x.org"': "account_email_keys",
    'emails[type eq "work"].value eq "p7@x.org"': "account_email_keys",
    'displayName eq "person 7"': "account_search",
    'name.familyName sw "family 77"': "account_search",
    f"{OWN_URN}:level eq 7": "account_search",
    'phoneNumbers[type eq "work" and value sw "+49 77"]': "account_search",
    'displayName eq "Person 7" or name.familyName eq "Family 8"': "account_search",
    'meta.lastModified lt "2026-03-01T18:00:00Z"': "account_by_change",
}


def test_indexes_serve_equality_beginnings_and_ranges(where: Connection) -> None:
    rows.accounts(
        rows.account(
            where,
            {
                "userName": f"p{n}@x.org",
                "externalId": f"k{n}",
                "displayName": f"Person {n}",
                "name": {"familyName": f"Family {n}"},
                "emails": [{"value": f"p{n}@x.org", "type": "work"}],
                "phoneNumbers": [{"value": f"+49 {n}", "type": "work"}],
                OWN_URN: {"level": n},
            },
            updated_at=CHANGED + timedelta(hours=n),
        )
        for n in range(1500)
    )
    with database.cursor() as cursor:
        # As autovacuum does: what is not yet in its tree makes an index look dear.
        cursor.execute("SELECT gin_clean_pending_list('account_search')")
        cursor.execute("ANALYZE provisioning_account")
    for text, index in SERVED.items():
        condition = compile_filter(KIND, text)
        assert not condition.scans, text
        assert re.search(rf" (using|on) ({index}) ", _plan(where, condition)), text


@pytest.mark.parametrize(
    "text",
    [
        'title co "x"',
        "title pr",
        'title ne "x"',
        'title eq "x" or nickName ew "y"',
        'title sw "x"',
        'emails[type eq "a" or value eq "b"]',
    ],
)
def test_no_index_serves(text: str) -> None:
    assert compile_filter(USER, text).scans


def _plan(where: Connection, condition: Condition) -> str:
    with database.cursor() as cursor:
        # Of so few rows a scan costs as little.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            f"EXPLAIN SELECT a.id FROM provisioning_account a WHERE a.tenant_id = %s AND a.connection_id = %s "  # noqa: S608
            f"AND a.deleted_at IS NULL AND ({condition.text})",
            (where.tenant_id, where.pk, *condition.parameters),
        )
        return "\n".join(line for (line,) in cursor.fetchall())


_WORDS = [
    "userName",
    "emails",
    "active",
    "meta.created",
    f"{OWN_URN}:level",
    "members",
    "eq",
    "ne",
    "co",
    "gt",
    "pr",
]
_WORDS += [
    "and",
    "or",
    "not",
    "(",
    ")",
    "[",
    "]",
    ".value",
    '"x"',
    '"2026-01-01"',
    "7",
    "1e308",
    "-0.5",
    "true",
    "null",
    '"',
    "\\",
]


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(_WORDS), max_size=9).map(" ".join)))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    for kind, alias in ((KIND, "a"), (GROUP, "g"), (THING, "d")):
        try:
            condition = compile_filter(kind, text)
        except InvalidFilterException:
            continue
        with database.cursor() as cursor:
            cursor.execute(
                f"SELECT FROM {rows.TABLES[alias]} {alias} WHERE {condition.text}", condition.parameters
            )


def test_a_hundred_ids_are_one_filter(where: Connection) -> None:
    made = rows.accounts(rows.account(where, {}) for _ in range(100))
    text = " or ".join(f'id eq "{row.pk}"' for row in made)
    assert Account.objects.count() == len(rows.found(where, "a", compile_filter(USER, text))) == 100
