"""What a caller hears when no view could answer."""

from html import escape

import psycopg
import pytest
from django.db import IntegrityError, InterfaceError, OperationalError
from django.test import Client, RequestFactory

from identity_hub.errors import answer, database_is_away


def _operational(cause: Exception) -> OperationalError:
    error = OperationalError("made for a test")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "away"),
    [
        pytest.param(_operational(psycopg.OperationalError()), True, id="no server answers"),
        pytest.param(_operational(psycopg.errors.AdminShutdown()), True, id="the operator stops the server"),
        pytest.param(_operational(psycopg.errors.TooManyConnections()), True, id="the server is full"),
        pytest.param(InterfaceError("the connection is closed"), True, id="the connection is gone"),
        pytest.param(_operational(psycopg.errors.DeadlockDetected()), False, id="a deadlock is ours"),
        pytest.param(_operational(psycopg.errors.QueryCanceled()), False, id="a slow statement is ours"),
        pytest.param(IntegrityError(), False, id="a broken promise is ours"),
    ],
)
def test_the_database_is_away_only_when_it_is(error: Exception, away: bool) -> None:
    assert database_is_away(error) is away


@pytest.mark.parametrize(
    ("path", "accept", "content_type"),
    [
        pytest.param("/scim/v2/Users", "*/*", "application/scim+json", id="a SCIM client reads a SCIM Error"),
        pytest.param("/api/v1/identities", "*/*", "application/json", id="a program reads JSON"),
        pytest.param("/me/", "application/json", "application/json", id="whoever asks for JSON reads JSON"),
        pytest.param("/login/", "text/html", "text/html; charset=utf-8", id="a person reads a page"),
    ],
)
def test_each_face_says_503_in_its_own_form(path: str, accept: str, content_type: str) -> None:
    said = answer(RequestFactory().get(path, headers={"accept": accept}), 503)
    assert (said.status_code, said["Content-Type"]) == (503, content_type)
    assert int(said["Retry-After"]) > 0


def test_an_address_outside_of_every_face_is_a_calm_404(client: Client) -> None:
    said = client.get("/nowhere")
    assert said.status_code == 404
    assert said["Content-Security-Policy"]
    assert said["X-Request-ID"] in said.content.decode()


@pytest.mark.parametrize("page", ["admin", "login", "logout", "me"])
def test_a_page_is_found_without_its_last_slash(client: Client, page: str) -> None:
    said = client.get(f"/{page}?next=%2Fme%2F")
    assert (said.status_code, said["Location"]) == (302, f"/{page}/?next=%2Fme%2F")


@pytest.mark.parametrize(
    ("address", "before", "title", "way"),
    [
        pytest.param(
            "/login/",
            "http://testserver/login/?next=/me/%3Ftab%3Dgroups",
            "This page was out of date",
            "http://testserver/login/?next=/me/%3Ftab%3Dgroups",
            id="the sign-in page keeps where she wanted to go",
        ),
        pytest.param(
            "/logout/",
            "http://testserver/me/",
            "You were not signed out",
            "http://testserver/me/",
            id="signing out",
        ),
        pytest.param(
            "/admin/login/",
            "http://testserver/admin/login/?next=/admin/",
            "This page was out of date",
            "http://testserver/admin/login/?next=/admin/",
            id="an administrator's page",
        ),
        pytest.param(
            "/login/", "https://evil.example/me/", "This page was out of date", "/", id="another site"
        ),
        pytest.param("/login/", "javascript:alert(1)", "This page was out of date", "/", id="no address"),
        pytest.param(
            "/login/",
            'http://testserver/"><script>',
            "This page was out of date",
            'http://testserver/"><script>',
            id="an address that escapes",
        ),
        pytest.param(
            "/logout/",
            "//evil.example/me/",
            "You were not signed out",
            "/",
            id="an address without its scheme",
        ),
    ],
)
def test_a_form_of_an_earlier_sign_in_leads_back_to_where_it_stood(
    address: str, before: str, title: str, way: str
) -> None:
    said = Client(enforce_csrf_checks=True).post(
        address, {"email": "ada@corp.example"}, headers={"referer": before}
    )
    text = said.content.decode()
    assert said.status_code == 403
    assert title in text
    assert "Nothing was changed" in text
    assert "<script>" not in text
    assert f'<a href="{escape(way)}">' in text
    assert said["X-Request-ID"] in text
