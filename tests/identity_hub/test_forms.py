"""Forms of people's pages that nobody can read, or that hold what no table keeps, as they come over HTTP."""

import secrets
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.test import Client

from provisioning.services import configuration
from tests.provisioning.cast import OPERATOR

pytestmark = pytest.mark.django_db

FORM = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=x"
PAGES = (
    "/login/",
    "/login/forget",
    "/logout/",
    "/me/sessions/end-others",
    "/me/sessions/a/end",
    "/admin/login/",
    "/admin/logout/",
    "/admin/provisioning/connection/add/",
)
PASSWORD = secrets.token_hex(16)


def part(name: str, value: str = "a@b.example") -> bytes:
    return f"--x\r\nContent-Disposition: form-data; {name}\r\n\r\n{value}\r\n--x--\r\n".encode()


UNREADABLE = [
    pytest.param(f"{FORM}; charset=hex", b"email=a", id="a charset that is none of text"),
    pytest.param(f"{PARTS}; charset=hex", part('name="email"'), id="the same of parts"),
    pytest.param(f"{FORM}; charset=undefined", b"email=a", id="a charset that reads nothing"),
    pytest.param(f"{FORM}; charset=utf-16", b"email=a", id="a charset of half the bytes"),
    pytest.param(f"{FORM}; charset=unicode_escape", rb"email=a\ud800@b", id="half of a surrogate pair"),
    pytest.param(f"{PARTS}; charset=cp037", part('name="email"'), id="parts in EBCDIC"),
    pytest.param("multipart/form-data", part('name="email"'), id="parts without a boundary"),
    pytest.param("multipart/form-data; boundary=é", part('name="email"'), id="a boundary that is none"),
    pytest.param(FORM, b"a=1&" * 1001, id="too many fields"),
    pytest.param(PARTS, part('name="a"')[:-7] * 1001 + b"--x--\r\n", id="too many parts"),
    pytest.param(PARTS, part('name="a"; filename="f"')[:-7] * 101 + b"--x--\r\n", id="too many files"),
    pytest.param(FORM, b"a=" + b"1" * (1024 * 1024), id="too many bytes"),
    *(
        pytest.param(FORM, urlencode(fields).encode(), id=f"a NUL in {name}")
        for name, fields in {
            "the domain": {"email": "a@b\x00.com"},
            "the address": {"email": "a@\x00"},
            "the way on": {"next": "/me/\x00"},
            "a name": {"\x00": "1"},
            "a user name": {"username": "a\x00", "password": "b"},
            "a password": {"username": "a", "password": "b\x00"},
        }.items()
    ),
    pytest.param(PARTS, part('name="email"', "a@\x00"), id="a NUL in a part"),
]


def post(client: Client, page: str, content_type: str, body: bytes) -> HttpResponse:
    # Client.post would write the body anew, in the charset.
    answer: HttpResponse = client.generic("POST", page, body, content_type)
    return answer


def calm(answer: HttpResponse) -> bool:
    return (
        answer.status_code == 400
        and answer["Content-Type"] == "text/html; charset=utf-8"
        and "could not be understood" in answer.content.decode()
        and bool(answer["Content-Security-Policy"])
    )


@pytest.fixture(params=["a stranger", "somebody signed in"])
def visitor(request: pytest.FixtureRequest) -> Client:
    client = Client(raise_request_exception=False)
    if request.param == "somebody signed in":
        client.force_login(
            configuration.create_local_identity(
                login_name="root", password=PASSWORD, superuser=True, actor=OPERATOR, reason="As agreed"
            )
        )
    return client


@pytest.mark.parametrize(("content_type", "body"), UNREADABLE)
def test_a_form_that_nobody_can_read_is_a_calm_400(visitor: Client, content_type: str, body: bytes) -> None:
    for page in PAGES:
        assert calm(post(visitor, page, content_type, body)), page


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(part("name*=hex''email"), id="a part whose name is in a charset that is none of text"),
        pytest.param(part("name*=nonsense''email"), id="a part whose name is in no charset"),
        pytest.param(part("name"), id="a part without a name"),
        pytest.param(
            part('name="email"').replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n!", 1),
            id="a part in base64 that is none",
        ),
        pytest.param(b"--y", id="parts with another boundary"),
        pytest.param(b"", id="no parts"),
    ],
)
def test_parts_that_mean_nothing_are_no_failure(visitor: Client, body: bytes) -> None:
    for page in PAGES:
        assert post(visitor, page, PARTS, body).status_code < 500, page


def test_it_is_so_where_the_check_of_forms_reads_it_too() -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    for page in PAGES:
        assert calm(post(client, page, f"{FORM}; charset=hex", b"email=a")), page


@pytest.mark.parametrize("charset", ["cp037", "utf-16", "unicode_escape"])
def test_a_charset_does_not_break_a_query(visitor: Client, charset: str) -> None:
    for page in ("/login/", "/login/acme/", "/me/", "/logout/", "/admin/login/", "/admin/find/"):
        headers = {"Content-Type": f"{FORM}; charset={charset}"}
        assert calm(visitor.get(f"{page}?next=/me/&q=%5Cud800", headers=headers)), page


@pytest.mark.parametrize(
    "path",
    [
        "/login/?next=%00",
        "/login/?next=/me/%00",
        "/login/a%00b/",
        "/me/?x=%00",
        "/logout/?x=%00",
        "/me/sessions/%00/end",
        "/admin/login/?next=/admin/%00",
        "/%00",
    ],
)
def test_a_nul_in_an_address_is_no_failure(visitor: Client, path: str) -> None:
    for method in (visitor.get, visitor.post):
        assert method(path).status_code < 500, method


@pytest.mark.parametrize("content_type", [FORM, f"{FORM}; charset=UTF-8", f"{FORM}; charset=nonsense"])
def test_a_form_in_utf8_is_read_whatever_it_is_called(client: Client, content_type: str) -> None:
    answer = post(client, "/login/", content_type, urlencode({"email": "ä@bücher.example"}).encode())
    assert answer.status_code == 404
    assert "@bücher.example" in answer.content.decode()
