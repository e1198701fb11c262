"""What is read from files as products write them, and what is said of those that are broken."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from provisioning.fingerprints import FIELDS
from provisioning.roster import Fault, Page, Unreadable, files
from provisioning.roster.files import Layout, Sample
from provisioning.roster.mapping import checked
from provisioning.roster.text import CHUNK, Surveyor, survey

HEADER = "id,userName,active,mail,title\r\n"


def opener(content: bytes) -> Callable[[], io.BufferedReader]:
    return lambda: io.BufferedReader(io.BytesIO(content))  # type: ignore[type-var, arg-type, return-value]


def looked(content: bytes, name: str = "people.csv", **options: Any) -> Sample:
    with opener(content)() as file:
        seen = survey(file)
    return files.look(opener(content), seen, name=name, **options)


def read(content: bytes, name: str = "people.csv", **options: Any) -> tuple[Sample, list[Page]]:
    sample = looked(content, name, **options)
    source = files.source(opener(content), sample.layout, checked(sample.mapping, sample.columns))
    return sample, list(source.pages(None))


def told(values: Any) -> dict[str, Any]:
    return {name: value for name, value in zip(FIELDS, values, strict=True) if value != ""}


def faults(pages: list[Page]) -> list[tuple[int, str, str]]:
    return [(fault.line, fault.code, fault.column) for page in pages for fault in page.faults]


ENTRA = (
    "\ufeffuserPrincipalName,displayName,surname,mail,givenName,id,userType,jobTitle,department,accountEnabled,"
    "usageLocation,streetAddress\r\n"
    'ada@contoso.example,"Lovelace, Ada",Lovelace,ada@contoso.example,Ada,8c2f-1,Member,"Engineer ""first""",R&D,'
    'True,GB,"12 Square\r\nLondon"\r\n'
    "bob@contoso.example,Bob,Müller,,Bob,8c2f-2,Member,,,False,,\r\n"
)
MICROSOFT_365 = (
    "Block credential,City,Display name,Object Id,User principal name\r\n"
    "False,Bern,Ada,8c2f-1,ada@contoso.example\r\n"
    "True,Bern,Bob,8c2f-2,bob@contoso.example\r\n"
)
OKTA = (
    "login,firstName,lastName,email,status,employeeNumber,timezone,userId\n"
    "ada@acme.example,Ada,Lovelace,ada@acme.example,ACTIVE,7,Europe/London,00u1\n"
    "bob@acme.example,Bob,Example,bob@acme.example,DEPROVISIONED,,,00u2\n"
)
GOOGLE = (
    "First Name [Required],Last Name [Required],Email Address [Required],Password [Required],"
    "Org Unit Path [Required],Status [READ ONLY],Employee ID,Employee Title,Department\n"
    "Ada,Lovelace,ada@acme.example,****,/,Active,7,Engineer,R&D\n"
    "Bob,Example,bob@acme.example,****,/,Suspended,,,\n"
)
WORKDAY = (
    "Employee ID;Legal First Name;Legal Last Name;Work Email;Business Title;Department;Worker Status\n"
    "00071;Ada;Lovelace;ada@acme.example;Engineer;R&D;On Leave\n"
    "00072;Bob;Example;bob@acme.example;;;Terminated\n"
)
SUCCESSFACTORS = (
    "STATUS\tUSERID\tUSERNAME\tFIRSTNAME\tLASTNAME\tEMAIL\tDEPARTMENT\tTITLE\tTIMEZONE\tDEFAULT_LOCALE\n"
    "active\t71\tada\tAda\tLovelace\tada@acme.example\tR&D\tEngineer\tEurope/London\ten_GB\n"
    "inactive\t72\tbob\tBob\tExample\tbob@acme.example\t\t\t\t\n"
)
SCIM = (
    '{"id":"s1","externalId":"e1","userName":"ada@acme.example","active":true,"name":{"givenName":"Ada",'
    '"familyName":"Lovelace"},"emails":[{"value":"home@ada.example","type":"home"},{"value":"ada@acme.example",'
    '"type":"work","primary":true}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":'
    '{"department":"R&D","employeeNumber":"7"}}\n'
    '{"externalId":"e2","userName":"bob@acme.example","active":false}\n'
)
DIRECTORY = (
    '{"id":"103","primaryEmail":"ada@acme.example","name":{"givenName":"Ada","familyName":"Lovelace",'
    '"fullName":"Ada Lovelace"},"suspended":false,"organizations":[{"title":"Engineer","primary":true,'
    '"department":"R&D"}]}\n'
    '{"id":"104","primaryEmail":"bob@acme.example","suspended":true,"archived":false}\n'
    '{"id":"105","primaryEmail":"cyd@acme.example","suspended":false,"archived":true}\n'
)
GRAPH = (
    '{"id":"8c2f-1","userPrincipalName":"ada@contoso.example","mail":"ada@contoso.example","givenName":"Ada",'
    '"surname":"Lovelace","accountEnabled":true,"employeeId":null,"jobTitle":"Engineer"}\n'
    '{"id":"8c2f-2","userPrincipalName":"bob@contoso.example","mail":null,"accountEnabled":false}\n'
)

EXPORTS = [
    pytest.param(
        ENTRA,
        "users.csv",
        [
            {
                "external_id": "8c2f-1",
                "user_name": "ada@contoso.example",
                "active": True,
                "email": "ada@contoso.example",
                "given_name": "Ada",
                "family_name": "Lovelace",
                "display_name": "Lovelace, Ada",
                "department": "R&D",
                "title": 'Engineer "first"',
            },
            {
                "external_id": "8c2f-2",
                "user_name": "bob@contoso.example",
                "active": False,
                "given_name": "Bob",
                "family_name": "Müller",
                "display_name": "Bob",
            },
        ],
        id="Entra ID's users, with a mark, quotes and an address of two lines",
    ),
    pytest.param(
        MICROSOFT_365,
        "users.csv",
        [
            {
                "external_id": "8c2f-1",
                "user_name": "ada@contoso.example",
                "active": True,
                "display_name": "Ada",
            },
            {
                "external_id": "8c2f-2",
                "user_name": "bob@contoso.example",
                "active": False,
                "display_name": "Bob",
            },
        ],
        id="Microsoft 365's active users say whose credential is blocked",
    ),
    pytest.param(
        OKTA,
        "okta.csv",
        [
            {
                "external_id": "00u1",
                "user_name": "ada@acme.example",
                "active": True,
                "email": "ada@acme.example",
                "given_name": "Ada",
                "family_name": "Lovelace",
                "time_zone": "Europe/London",
                "hr_number": "7",
            },
            {
                "external_id": "00u2",
                "user_name": "bob@acme.example",
                "active": False,
                "email": "bob@acme.example",
                "given_name": "Bob",
                "family_name": "Example",
            },
        ],
        id="Okta's people",
    ),
    pytest.param(
        GOOGLE,
        "User_Download.csv",
        [
            {
                "user_name": "ada@acme.example",
                "active": True,
                "email": "ada@acme.example",
                "given_name": "Ada",
                "family_name": "Lovelace",
                "hr_number": "7",
                "department": "R&D",
                "title": "Engineer",
            },
            {
                "user_name": "bob@acme.example",
                "active": False,
                "email": "bob@acme.example",
                "given_name": "Bob",
                "family_name": "Example",
            },
        ],
        id="Google's download, one column for two attributes",
    ),
    pytest.param(
        WORKDAY,
        "workers.csv",
        [
            {
                "user_name": "ada@acme.example",
                "active": True,
                "email": "ada@acme.example",
                "given_name": "Ada",
                "family_name": "Lovelace",
                "hr_number": "00071",
                "department": "R&D",
                "title": "Engineer",
            },
            {
                "user_name": "bob@acme.example",
                "active": False,
                "email": "bob@acme.example",
                "given_name": "Bob",
                "family_name": "Example",
                "hr_number": "00072",
            },
        ],
        id="an HR system's workers, with semicolons and leading zeros",
    ),
    pytest.param(
        SUCCESSFACTORS,
        "sf.txt",
        [
            {
                "external_id": "71",
                "user_name": "ada",
                "active": True,
                "email": "ada@acme.example",
                "given_name": "Ada",
                "family_name": "Lovelace",
                "locale": "en_GB",
                "time_zone": "Europe/London",
                "department": "R&D",
                "title": "Engineer",
            },
            {
                "external_id": "72",
                "user_name": "bob",
                "active": False,
                "email": "bob@acme.example",
                "given_name": "Bob",
                "family_name": "Example",
            },
        ],
        id="an HR system's users, with tabs",
    ),
    pytest.param(
        SCIM,
        "users.jsonl",
        [
            {
                "external_id": "e1",
                "user_name": "ada@acme.example",
                "active": True,
                "email": "ada@acme.example",
                "given_name": "Ada",
                "family_name": "Lovelace",
                "hr_number": "7",
                "department": "R&D",
            },
            {"external_id": "e2", "user_name": "bob@acme.example", "active": False},
        ],
        id="SCIM Users, of several e-mails the primary one",
    ),
    pytest.param(
        DIRECTORY,
        "google.jsonl",
        [
            {
                "external_id": "103",
                "user_name": "ada@acme.example",
                "active": True,
                "email": "ada@acme.example",
                "given_name": "Ada",
                "family_name": "Lovelace",
                "display_name": "Ada Lovelace",
                "department": "R&D",
                "title": "Engineer",
            },
            {
                "external_id": "104",
                "user_name": "bob@acme.example",
                "active": False,
                "email": "bob@acme.example",
            },
            {
                "external_id": "105",
                "user_name": "cyd@acme.example",
                "active": False,
                "email": "cyd@acme.example",
            },
        ],
        id="Google's directory says who is suspended, and who is archived",
    ),
    pytest.param(
        GRAPH,
        "graph.ndjson",
        [
            {
                "external_id": "8c2f-1",
                "user_name": "ada@contoso.example",
                "active": True,
                "email": "ada@contoso.example",
                "given_name": "Ada",
                "family_name": "Lovelace",
                "title": "Engineer",
            },
            {"external_id": "8c2f-2", "user_name": "bob@contoso.example", "active": False},
        ],
        id="Microsoft Graph's users",
    ),
]


@pytest.mark.parametrize(("content", "name", "people"), EXPORTS)
def test_known_exports_are_read_without_a_word(content: str, name: str, people: list[dict[str, Any]]) -> None:
    _, pages = read(content.encode(), name)
    assert faults(pages) == []
    assert [told(values) for page in pages for _, values in page.rows] == people


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        pytest.param("utf-8", "utf-8", id="UTF-8"),
        pytest.param("utf-8-sig", "utf-8", id="UTF-8 with a mark"),
        pytest.param("utf-16", "utf-16-le", id="UTF-16 with a mark"),
        pytest.param("utf-16-le", "utf-16-le", id="UTF-16 without a mark"),
        pytest.param("utf-16-be", "utf-16-be", id="UTF-16, the other way around"),
        pytest.param("windows-1252", "windows-1252", id="Windows-1252"),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_encodings_and_ends_of_lines_are_told_apart(encoding: str, found: str, ends: str) -> None:
    text = ends.join(['"userName",title', '"ada@acme.example",Größte', "bob@acme.example,Kühlschränke", ""])
    sample, pages = read(text.encode(encoding))
    assert sample.layout.encoding == found
    assert [told(values)["title"] for page in pages for _, values in page.rows] == ["Größte", "Kühlschränke"]
    assert [line for page in pages for line, _ in page.rows] == [2, 3]


KOVAC = "userName;familyName\r\nkov@acme.example;Kovač"


@pytest.mark.parametrize(
    ("content", "options", "ended"),
    [
        pytest.param(b"userName\nada\n", {}, True, id="a line feed"),
        pytest.param(b"userName\rada\r", {}, True, id="a carriage return"),
        pytest.param(b"userName\r\nada\r", {}, True, id="the first half of both"),
        pytest.param(b"userName\nada\nb", {}, False, id="the first letter of a line is none"),
        pytest.param(f"{KOVAC}\r\n".encode("utf-16"), {}, True, id="UTF-16"),
        pytest.param(f"{KOVAC}\n".encode("utf-16-be"), {}, True, id="UTF-16, the other way around"),
        pytest.param(KOVAC.encode("utf-16"), {}, False, id="a letter of UTF-16 with a byte like an end"),
        pytest.param(KOVAC.replace("č", "Ċ").encode("utf-16-be"), {}, False, id="that, the other way around"),
        pytest.param(f"{KOVAC}\n".encode("utf-16-le")[:-1], {}, False, id="half an end of UTF-16"),
        pytest.param(
            "用户名\n李\n".encode("utf-16-le"),
            {"encoding": "utf-16-le"},
            True,
            id="an encoding that is given",
        ),
    ],
)
def test_the_last_line_has_an_end_where_the_last_character_is_one(
    content: bytes, options: dict[str, str], ended: bool
) -> None:
    assert looked(content, **options).layout.ended is ended


def test_a_few_damaged_bytes_do_not_turn_every_name_into_another_encoding() -> None:
    lines = [f"p{n}@acme.example,Größe {n}".encode() for n in range(50)]
    lines[20] = b"p20@acme.example,Gr\xf6\xdfe"
    sample, pages = read(b"userName,title\n" + b"\n".join(lines) + b"\n")
    assert sample.layout.encoding == "utf-8"
    assert faults(pages) == [(22, "row:characters", "title")]


@pytest.mark.parametrize(
    ("content", "options", "layout"),
    [
        pytest.param("userName,title\na,b\n", {}, (",", '"'), id="commas"),
        pytest.param(
            "userName;title\na,c;b\nd;e,f\n", {}, (";", '"'), id="semicolons, though commas are there"
        ),
        pytest.param("userName\ttitle\na\tb\n", {}, ("\t", '"'), id="tabs"),
        pytest.param("userName|title\na|b\n", {}, ("|", '"'), id="bars"),
        pytest.param("sep=;\nuserName;title\na;b\n", {}, (";", '"'), id="Excel's own first line"),
        pytest.param("'userName','title'\n'a','b'\n", {}, (",", "'"), id="apostrophes as quotes"),
        pytest.param("userName\na\n", {}, (",", '"'), id="one column"),
        pytest.param(
            "userName:title\na:b\n", {"delimiter": ":"}, (":", '"'), id="what is given is not guessed"
        ),
    ],
)
def test_separators_and_quotes_are_told_apart(
    content: str, options: dict[str, str], layout: tuple[str, str]
) -> None:
    sample, pages = read(content.encode(), **options)
    assert (sample.layout.delimiter, sample.layout.quote) == layout
    assert sample.columns[0] == "userName"
    assert faults(pages) == []
    assert sum(len(page.rows) for page in pages) == content.count("\n") - 1 - content.count("sep=")


BROKEN = [
    pytest.param(b"e1,ada,true,a@b.example,x\r\n", [], id="nothing is wrong"),
    pytest.param(b"e1,ada,true\r\n", [(2, "row:columns", "")], id="too few columns"),
    pytest.param(b"e1,ada,true,,x,y\r\n", [(2, "row:columns", "")], id="too many columns"),
    pytest.param(b"e1,ada,true,,x,,\r\n", [], id="a spreadsheet's empty columns"),
    pytest.param(b"\r\ne1,ada,true,,x\r\n\r\n", [], id="empty lines"),
    pytest.param(b"e1,ada,true,,a\x00b\r\n", [(2, "row:characters", "title")], id="a NUL"),
    pytest.param(b'e1,ada,true,,"a"b\r\n', [(2, "row:quoting", "")], id="something after a quote"),
    pytest.param(
        b'e1,ada,true,,"x\r\ny"\r\ne2,bob\r\n', [(4, "row:columns", "")], id="lines are those of the file"
    ),
    pytest.param(
        b'e1,ada,true,,"Big\r\ne2,bob,true,,x\r\ne3,cyd,true,,x\r\ne4,dan,true,,Al"\r\ne5,eve,true,,x\r\n',
        [(2, "row:quoting", ""), (3, "row:quoting", ""), (4, "row:quoting", ""), (5, "row:quoting", "")],
        id="two stray quotes that swallow people",
    ),
    pytest.param(
        b'e1,ada,true,,"Big\ne2,bob,true,,Al"\ne3,cyd,true,,x\n',
        [(2, "row:quoting", ""), (3, "row:quoting", "")],
        id="two stray quotes on neighbouring lines",
    ),
    pytest.param(
        b'e1,"ada,true,,x\ne2,bob,true,,x\ne3,cyd",true,,x\n',
        [(2, "row:quoting", ""), (3, "row:quoting", ""), (4, "row:quoting", "")],
        id="two stray quotes in the middle of their lines",
    ),
    pytest.param(
        b'e1,ada,true,,"Head of\r\nSales, Marketing, and\r\nR&D, London"\r\n', [], id="a title of three lines"
    ),
    pytest.param(b"e1,ada,true,,x\r\ne2,bo", [(3, "row:cut", "")], id="the last line is cut"),
    pytest.param(
        b"e1,ada,true,,x\r\ne2,bob,true,bob@,x\r\n",
        [(3, "row:value-malformed", "mail")],
        id="no e-mail address",
    ),
    pytest.param(b"e1,ada,true,bob@", [(2, "row:cut", "")], id="cut inside the last but one"),
    pytest.param(b'e1,ada,true,,"x', [(2, "row:cut", "")], id="cut inside quotes"),
    pytest.param(b"e1,ada,true,,x", [], id="a last line without an end may be whole"),
    pytest.param(b",,true,,x\r\n", [(2, "row:key-missing", "id")], id="no key at all"),
    pytest.param(
        b"e1,,true,,x\r\n", [(2, "row:key-missing", "userName")], id="no userName, and one is mapped"
    ),
    pytest.param(b"n/a,ada,true,,x\r\n", [], id="a word of nothing is no key, and the name is one"),
    pytest.param(b"0000-0000,ada,true,,x\r\n", [(2, "row:key-malformed", "id")], id="zeros are nobody's key"),
    pytest.param(
        "e1,\u212aarl,true,,x\r\n".encode(),
        [(2, "row:key-malformed", "userName")],
        id="the Kelvin sign in a name",
    ),
    pytest.param(
        "e1,ada\u202e,true,,x\r\n".encode(),
        [(2, "row:key-malformed", "userName")],
        id="letters turned around",
    ),
    pytest.param(
        b"e1,ada,true,,x\r\ne2,bob,maybe,,x\r\n",
        [(3, "row:active-unclear", "active")],
        id="neither yes nor no",
    ),
    pytest.param(b"e1,ada,,,x\r\n", [(2, "row:active-unclear", "active")], id="nothing is not yes"),
    pytest.param(
        b"e1,ada,true,," + b"x" * 300 + b"\r\n",
        [(2, "row:value-too-long", "title")],
        id="too long for its column",
    ),
    pytest.param(b"e1,ada,true,," + b"x" * 256 + b"\r\n", [], id="as long as there is room for"),
    pytest.param(
        b'e1,ada,true,,"' + b"x" * 140_000 + b'"\r\ne2,bob,true,,x\r\n',
        [(2, "row:quoting", "")],
        id="a value of 140,000 characters",
    ),
    pytest.param(
        b"e1,ada,true,,x\r\n#count=1\r\ne2,bob,true,,x\r\n",
        [(4, "row:after-count", "")],
        id="a line after the count",
    ),
]


@pytest.mark.parametrize(("lines", "wrong"), BROKEN)
def test_what_is_wrong_is_told_by_line_and_column(lines: bytes, wrong: list[tuple[int, str, str]]) -> None:
    _, pages = read(HEADER.encode() + lines)
    assert faults(pages) == wrong


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        pytest.param('{"userName":"ada"}\n', [], id="nothing is wrong"),
        pytest.param('{"userName":"ada"}\n\n{"userName":\n', [(3, "row:json", "")], id="no JSON"),
        pytest.param('{"userName":"ada"}\n["bob"]\n', [(2, "row:json", "")], id="no object"),
        pytest.param('{"userName":"ada"}\n{"userName":"bo', [(2, "row:cut", "")], id="the last line is cut"),
        pytest.param('{"userName":"ada"}\n{"x":1}\n', [(2, "row:key-missing", "userName")], id="no key"),
        pytest.param(
            '{"userName":"ada"}\n{"userName":{"a":1}}\n',
            [(2, "row:value-malformed", "userName")],
            id="an object",
        ),
        pytest.param(
            '{"userName":"ada"}\n{"userName":"b\\u0000b"}\n', [(2, "row:characters", "userName")], id="a NUL"
        ),
        pytest.param(
            '{"userName":"ada"}\n{"#count": 7000000000}\n',
            [(2, "row:key-missing", "userName")],
            id="no such count",
        ),
        pytest.param(
            '{"userName":"ada"}\n{"#count": true}\n',
            [(2, "row:key-missing", "userName")],
            id="a count that is none",
        ),
        pytest.param('{"userName":"ada"}\n{"userName":12}\n', [], id="a number is a text"),
        pytest.param(
            '{"userName":"ada"}\n{"x":1.5,"y":' + "[" * 1000 + "]" * 1000 + "}\n",
            [(2, "row:json", "")],
            id="a thousand brackets beside a number",
        ),
        pytest.param(
            '{"userName":"ada"}\n{"userName":"\\ud800"}\n', [(2, "row:json", "")], id="half a character"
        ),
        pytest.param(
            '{"userName":"ada"}\n{"#count":1}\n{"userName":"b"}\n',
            [(3, "row:after-count", "")],
            id="after the count",
        ),
    ],
)
def test_what_is_wrong_with_json_lines_is_told_by_line(lines: str, wrong: list[tuple[int, str, str]]) -> None:
    _, pages = read(lines.encode(), "people.jsonl")
    assert faults(pages) == wrong


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        ("115412345678901234561", "115412345678901234561"),
        ("18446744073709551616", "18446744073709551616"),
        ("9007199254740993", "9007199254740993"),
        ("-12345678901234567890123", "-12345678901234567890123"),
        ("4711.50", "4711.50"),
        ("1e21", "1e21"),
        ("12", "12"),
    ],
)
def test_a_number_is_kept_as_it_is_written(number: str, kept: str) -> None:
    _, (page,) = read(f'{{"id": {number}, "userName": "ada"}}\n'.encode(), "people.jsonl")
    ((_, values),) = page.rows
    assert told(values)["external_id"] == kept


@pytest.mark.parametrize(
    ("key", "value", "wrong"),
    [
        # Of those before it nobody says that they are active.
        pytest.param("active", "false", "row:active-unclear", id="a state"),
        pytest.param("Account Status", '"terminated"', "row:active-unclear", id="a state in words"),
        pytest.param("suspended", "true", "row:active-unclear", id="the opposite of one"),
        pytest.param("status", '"gold"', "", id="a word that is no state"),
        pytest.param("hobby", '"false"', "", id="another key"),
    ],
)
def test_a_state_that_is_named_only_later_is_no_secret(key: str, value: str, wrong: str) -> None:
    lines = [f'{{"userName": "p{n}", "manager": {{"active": true}}}}' for n in range(150)]
    lines[140] = f'{{"userName": "p140", "{key}": {value}}}'
    sample, pages = read("\n".join([*lines, ""]).encode(), "people.jsonl")
    assert {code for _, code, _ in faults(pages)} == ({wrong} if wrong else set())
    if wrong:
        assert key in sample.columns
        without = {name: column for name, column in sample.mapping.items() if column != key}
        assert checked(without, sample.columns).fields == ["user_name"]


@pytest.mark.parametrize(
    ("content", "name", "total"),
    [
        pytest.param("userName\na\n#count=7\n", "x.csv", 7, id="a comment"),
        pytest.param("userName,title\na,b\n#count,7\n", "x.csv", 7, id="a comment in two cells"),
        pytest.param("userName,title\na,b\n# rows: 7,\n", "x.csv", 7, id="with a blank"),
        pytest.param("userName,title\na,b\n#7th,\n", "x.csv", None, id="a name that begins so"),
        pytest.param('{"userName":"a"}\n{"#count": 7}\n', "x.jsonl", 7, id="an object that counts"),
        pytest.param('{"userName":"a"}\n#count=7\n', "x.jsonl", 7, id="a comment among objects"),
    ],
)
def test_a_last_line_may_count_the_rows(content: str, name: str, total: int | None) -> None:
    _, pages = read(content.encode(), name)
    assert pages[-1].total == total
    assert faults(pages) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "empty", id="nothing"),
        pytest.param(b"\n\n", "empty", id="nothing but lines"),
        pytest.param(b"PK\x03\x04rest", "spreadsheet", id="a spreadsheet"),
        pytest.param(b"\xd0\xcf\x11\xe0\xa1", "spreadsheet", id="an old spreadsheet"),
        pytest.param(b"\x1f\x8b\x08", "compressed", id="a compressed file"),
        pytest.param(b"%PDF-1.7", "PDF", id="a PDF"),
        pytest.param(b'[{"userName": "ada"}]', "JSON array", id="a JSON array"),
        pytest.param(b'"userName"x,title\na,b\n', "first line", id="a header with broken quotes"),
    ],
)
def test_what_is_no_listing_says_what_it_is(content: bytes, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        looked(content)


def test_a_line_without_an_end_is_refused_before_anybody_keeps_it() -> None:
    surveyor = Surveyor()
    with pytest.raises(Unreadable, match="longer"):
        surveyor.take(b"x" * CHUNK)


@pytest.mark.parametrize("name", ["people.csv", "people.jsonl"])
def test_a_reader_goes_on_after_any_page(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(files, "AT_ONCE", 3)
    rows = [f"p{n}" for n in range(8)]
    lines = ["userName,title", *(f'{row},"x\ny"' for row in rows), "bad", "#count=8"]
    if name.endswith("jsonl"):
        lines = [*(f'{{"userName": "{row}"}}' for row in rows), "bad", '{"#count": 8}']
    content = "\n".join([*lines, ""]).encode()
    sample, whole = read(content, name)
    assert [len(page.rows) for page in whole] == [3, 3, 2, 0][: len(whole)]
    source = files.source(opener(content), sample.layout, checked(sample.mapping, sample.columns))
    for done in range(1, len(whole)):
        assert list(source.pages(whole[done - 1].cursor)) == whole[done:]
    assert whole[-1].cursor is None
    assert whole[-1].total == 8


def test_the_mapping_is_looked_for_by_name_and_not_by_place() -> None:
    content = b"title,userName\nEngineer,ada\n"
    source = files.source(
        opener(content),
        Layout(format="csv", encoding="utf-8", delimiter=",", quote='"'),
        checked({"user_name": "userName", "title": "title"}),
    )
    (page,) = source.pages(None)
    assert told(page.rows[0][1]) == {"user_name": "ada", "active": True, "title": "Engineer"}
    assert list(source.fields) == ["user_name", "title"]


def test_whoever_alone_is_archived_is_seen_far_behind_the_others() -> None:
    lines = [f'{{"userName": "p{n}"}}' for n in range(150)]
    lines[140] = '{"userName": "p140", "archived": true}'
    _, pages = read("\n".join([*lines, ""]).encode(), "people.jsonl")
    assert faults(pages) == []
    assert [values[1] for page in pages for _, values in page.rows if not values[2]] == ["p140"]


def test_a_fault_tells_no_value() -> None:
    fault = Fault(line=3, code="row:json", column="mail")
    assert replace(fault, line=4).told == {"line": 4, "code": "row:json", "column": "mail"}
