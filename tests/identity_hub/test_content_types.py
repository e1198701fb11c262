"""Headers of content that nobody can read, at every face of a real gunicorn.

Django fails at some of them before any middleware, and its test client is no such door.
"""

import http.client
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.identity_hub.gunicorn import gunicorn

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

UNKNOWN = "00000000-0000-0000-0000-000000000000"
CONTENT_TYPES = (
    "text/plain; charset=hex",
    "application/x-www-form-urlencoded; charset=hex",
    "application/x-www-form-urlencoded; charset=undefined",
    "multipart/form-data; boundary=x; charset=zlib",
    "text/plain; charset=utf-8",
    "text/plain; charset*=hex''x",
    "text/plain; a*=nonsense''x",
    "multipart/form-data; boundary*=nonsense''x",
    "multipart/form-data; boundary=\xe9",
    "; charset=",
    "text/plain; charset=\xe9",
    "text/plain; charset=" + "a" * 5000,
)
ASKED = (
    ("GET", "/login/?next=/me/"),
    ("POST", "/login/?next=/me/"),
    ("GET", "/me/?x=1"),
    ("GET", "/admin/login/?next=/admin/"),
    ("POST", "/admin/login/?next=/admin/"),
    ("GET", "/api/v1/identities/?user_name=a"),
    ("POST", "/api/v1/identities/?user_name=a"),
    ("GET", "/scim/v2/Users?filter=a"),
    ("POST", "/scim/oauth/token?a=1"),
    ("GET", f"/saml/{UNKNOWN}/login?next=/me/"),
    ("GET", f"/saml/{UNKNOWN}/logout?SAMLRequest=a"),
    ("POST", f"/saml/{UNKNOWN}/acs?a=1"),
    ("GET", "/?" + "a=1&" * 1001),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("content-types")


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    with gunicorn(folder / "gunicorn.log") as port:
        yield port


def test_none_of_them_is_a_failure(port: int, folder: Path) -> None:
    failed = []
    for accept, content_type in product(
        ("*/*", "text/html; a*=nonsense''x", "application/json; q*0*=undefined''x, */*"),
        CONTENT_TYPES,
    ):
        for method, path in ASKED:
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            headers = {"Content-Type": content_type, "Accept": accept}
            link.request(method, path, b"email=a" if method == "POST" else None, headers)
            if (status := link.getresponse().status) >= 500:
                failed.append((content_type, method, path, status))
            link.close()
    assert not failed, (folder / "gunicorn.log").read_text()[-3000:]
    assert "Traceback" not in (folder / "gunicorn.log").read_text()
