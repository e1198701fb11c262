"""The demo's own promises: not in production, not for other sites, and no answer to a stranger's request."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from identity_hub.demo.files import Directory, Hub, new_person
from identity_hub.local import keys, places
from identity_hub.settings import BASE_DIR

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The demo IdP's process before any `setup_demo`: it knows its people and no hub."""
    folder = tmp_path_factory.mktemp("idp")
    log = folder / "log"
    environment = {
        **os.environ,
        "HUB_ENV": "development",
        "HUB_VAR": str(folder),
        "DJANGO_SETTINGS_MODULE": "identity_hub.settings",
        "PYTHONUNBUFFERED": "1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "identity_hub.demo.idp", "--port", "0"],
            cwd=BASE_DIR,
            env=environment,
            stdout=output,
            stderr=output,
        )
        try:
            assert places.wait_until(lambda: "http://localhost:" in log.read_text(), seconds=30), (
                log.read_text()
            )
            base = next(word for word in log.read_text().split() if word.startswith("http://localhost:"))
            yield base
        finally:
            process.terminate()
            process.wait(10)


@pytest.mark.parametrize("module", ["identity_hub.demo.idp", "identity_hub.demo.story"])
def test_no_part_of_the_demo_starts_with_production_settings(module: str, tmp_path: Path) -> None:
    key, certificate = tmp_path / "sp.key", tmp_path / "sp.crt"
    keys.saml_key(key, certificate)
    production = {
        "PATH": os.environ["PATH"],
        "HUB_ENV": "production",
        "SECRET_KEY": "s" * 50,
        "METRICS_TOKEN": "m" * 50,
        "CREDENTIAL_KEYS": "c" * 32,
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
        "REDIS_URL": "redis://127.0.0.1:1",
        "HUB_PUBLIC_URL": "https://hub.example.com",
        "ALLOWED_HOSTS": "hub.example.com",
        "SAML_SP_KEY_FILE": str(key),
        "SAML_SP_CERT_FILE": str(certificate),
    }
    done = subprocess.run(
        [sys.executable, "-m", module],
        cwd=BASE_DIR,
        env=production,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "The demo does not exist with production settings." in done.stderr


def test_it_lists_its_people_and_never_caches_them(idp: str) -> None:
    page = requests.get(idp, timeout=10)
    assert page.status_code == 200
    assert "Nora Newcomer" in page.text
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        pytest.param("POST", "/push", {"Origin": "https://evil.example"}, 403, id="a push from another site"),
        pytest.param("POST", "/people", {"Origin": "null"}, 403, id="a hire from a sandboxed frame"),
        pytest.param("GET", "/", {"Host": "evil.example"}, 403, id="a name that was pointed at this machine"),
        pytest.param("POST", "/push", {}, 404, id="a push of nobody"),
        pytest.param("GET", "/sso", {}, 400, id="a sign-in without a request"),
        pytest.param("GET", "/sso?SAMLRequest=AAAA", {}, 400, id="a sign-in with a broken request"),
        pytest.param("GET", "/nowhere", {}, 404, id="an unknown address"),
        pytest.param("DELETE", "/people", {}, 404, id="an unknown method"),
    ],
)
def test_it_answers_calmly_to(idp: str, method: str, path: str, headers: dict[str, str], status: int) -> None:
    answer = requests.request(method, f"{idp}{path}", headers=headers, timeout=10)
    assert answer.status_code == status
    assert "This did not work" in answer.text or "not in the directory" in answer.text


@pytest.mark.parametrize(
    ("entity_id", "known"),
    [
        ("http://localhost:8000/saml/11111111-1111-4111-8111-111111111111/metadata", True),
        ("http://169.254.169.254/saml/11111111-1111-4111-8111-111111111111/metadata", False),
        ("http://localhost:8000@evil.example/saml/11111111-1111-4111-8111-111111111111/metadata", False),
        ("http://localhost:8000/admin/", False),
        ("", False),
    ],
)
def test_a_request_does_not_choose_where_the_idp_fetches_from(entity_id: str, known: bool) -> None:
    nothing: dict[str, str] = {}
    hub = Hub(
        url="http://localhost:8000",
        idp_url="http://localhost:8001",
        connections=nothing,
        tokens=nothing,
        administrator="",
        administrator_password="",
    )
    assert hub.has(entity_id) is known


def test_its_metadata_names_an_idp_that_survives_a_change_of_port(idp: str) -> None:
    metadata = requests.get(f"{idp}/metadata", timeout=10).text
    assert 'entityID="urn:identity-hub:demo-idp"' in metadata
    assert f'Location="{idp}/sso"' in metadata
    assert urlsplit(idp).port


def test_one_name_is_one_person_whatever_became_of_the_folder(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "people.json")
    ada = new_person("Ada", "Again")
    directory.add(ada)
    with pytest.raises(ValueError, match="taken"):
        directory.add(new_person("Ada", "Again"))
    assert Directory(tmp_path / "people.json").find(ada.object_id) == ada
    assert (tmp_path / "people.json").stat().st_mode & 0o077 == 0
