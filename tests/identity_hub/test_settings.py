"""Production says what it needs and refuses what it must not have. Each case is a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.exceptions import ImproperlyConfigured

from identity_hub.local import keys
from identity_hub.settings import BASE_DIR, database_from_url, dns_servers

_SHOW = """
import json
from identity_hub import settings
names = {names!r}
print(json.dumps({{name: getattr(settings, name, None) for name in names}}))
"""


@pytest.fixture
def production(tmp_path: Path) -> dict[str, str]:
    """A complete production environment; nothing behind its addresses."""
    keys.saml_key(tmp_path / "sp.key", tmp_path / "sp.crt")
    return {
        "PATH": os.environ["PATH"],
        "HUB_ENV": "production",
        "SECRET_KEY": "k" * 50,
        "DATABASE_URL": "postgres://hub:secret@db.example.com/hub?sslmode=verify-full",
        "REDIS_URL": "redis://redis.example.com/0",
        "HUB_PUBLIC_URL": "https://hub.example.com",
        "ALLOWED_HOSTS": "hub.example.com",
        "METRICS_TOKEN": "m" * 40,
        "CREDENTIAL_KEYS": "c" * 32,
        "SAML_SP_KEY_FILE": str(tmp_path / "sp.key"),
        "SAML_SP_CERT_FILE": str(tmp_path / "sp.crt"),
        "HUB_VAR": str(tmp_path / "var"),
    }


def _load(environment: dict[str, str], *names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _SHOW.format(names=names)],
        cwd=BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "name",
    [
        "SECRET_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "HUB_PUBLIC_URL",
        "ALLOWED_HOSTS",
        "METRICS_TOKEN",
        "CREDENTIAL_KEYS",
        "SAML_SP_KEY_FILE",
        "SAML_SP_CERT_FILE",
    ],
)
def test_production_names_what_is_missing(production: dict[str, str], name: str) -> None:
    del production[name]
    done = _load(production)
    assert done.returncode != 0
    assert f"Production needs these environment variables: {name}." in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        pytest.param(
            "HUB_PUBLIC_URL",
            "http://hub.example.com",
            "must begin with https://",
            id="a public address without TLS",
        ),
        pytest.param("SECRET_KEY", "short", "at least 50 characters", id="a secret key that can be guessed"),
        pytest.param(
            "METRICS_TOKEN", "short", "at least 20 characters", id="a metrics token that can be guessed"
        ),
        pytest.param(
            "CREDENTIAL_KEYS",
            f"{'c' * 32},short",
            "at least 32 characters",
            id="a credential key that can be guessed, among others",
        ),
        pytest.param("ALLOWED_HOSTS", "*", "must name the hosts", id="any host name"),
        pytest.param(
            "SAML_SP_KEY_FILE", "/nowhere/sp.key", "cannot be read", id="a key file that is not there"
        ),
        pytest.param("DATABASE_URL", "sqlite:///hub.db", "needs PostgreSQL", id="another database"),
        pytest.param("HUB_SCIM_CONFORMANCE", "1", "is for tests", id="the conformance profile"),
    ],
)
def test_production_refuses(production: dict[str, str], name: str, value: str, sentence: str) -> None:
    done = _load({**production, name: value})
    assert done.returncode != 0
    assert sentence in done.stderr
    assert name in done.stderr


@pytest.mark.parametrize(
    ("key", "certificate", "sentence"),
    [
        pytest.param("other.key", "sp.crt", "do not belong together", id="the certificate of another key"),
        pytest.param("other.key", "", "must be given together", id="a key without its certificate"),
        pytest.param("", "other.crt", "must be given together", id="a certificate without its key"),
        pytest.param("other.key", "nowhere.crt", "cannot be read: ", id="a file that is not there"),
        pytest.param("other.crt", "other.crt", "no PEM key", id="a certificate in the place of the key"),
        pytest.param(
            "other.key", "other.key", "no PEM certificate", id="a key in the place of the certificate"
        ),
        pytest.param("locked.key", "other.crt", "no PEM key without a password", id="a key with a password"),
        pytest.param("curve.key", "other.crt", "must be an RSA key", id="a key that signs in another way"),
    ],
)
@pytest.mark.parametrize("pair", ["SAML_SP", "SAML_SP_OTHER"])
def test_production_refuses_a_pair_that_is_none(
    production: dict[str, str], tmp_path: Path, pair: str, key: str, certificate: str, sentence: str
) -> None:
    keys.saml_key(tmp_path / "other.key", tmp_path / "other.crt")
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    curve = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "curve.key").write_bytes(curve.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    locked = serialization.BestAvailableEncryption(b"a password")
    (tmp_path / "locked.key").write_bytes(curve.private_bytes(pem, pkcs8, locked))
    named = {
        f"{pair}_KEY_FILE": str(tmp_path / key) if key else "",
        f"{pair}_CERT_FILE": str(tmp_path / certificate) if certificate else "",
    }
    done = _load({**production, **named})
    assert done.returncode != 0
    if pair == "SAML_SP" and "" in named.values():
        sentence = "Production needs these environment variables"
    assert sentence in done.stderr
    assert f"{pair}_KEY_FILE" in done.stderr or f"{pair}_CERT_FILE" in done.stderr


def test_production_takes_a_second_pair(production: dict[str, str], tmp_path: Path) -> None:
    keys.saml_key(tmp_path / "other.key", tmp_path / "other.crt")
    named = {
        "SAML_SP_OTHER_KEY_FILE": str(tmp_path / "other.key"),
        "SAML_SP_OTHER_CERT_FILE": str(tmp_path / "other.crt"),
    }
    assert json.loads(_load({**production, **named}, *named).stdout) == named


def test_production_has_no_demo_and_secure_cookies(production: dict[str, str]) -> None:
    names = [
        "INSTALLED_APPS",
        "DEBUG",
        "HUB_DEMO",
        "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE",
        "SESSION_COOKIE_HTTPONLY",
        "SECURE_SSL_REDIRECT",
        "SECURE_HSTS_SECONDS",
    ]
    done = _load({**production, "DEMO": "1", "HUB_DEBUG": "1"}, *names)
    shown = json.loads(done.stdout)
    apps = shown.pop("INSTALLED_APPS")
    assert "identity_hub.demo" not in apps
    assert "provisioning" in apps
    assert shown == {
        "DEBUG": False,
        "HUB_DEMO": False,
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SESSION_COOKIE_HTTPONLY": True,
        "SECURE_SSL_REDIRECT": True,
        "SECURE_HSTS_SECONDS": 31536000,
    }
    assert not Path(production["HUB_VAR"]).exists(), "production makes no keys of its own"


@pytest.mark.parametrize("module", ["identity_hub.demo.idp", "identity_hub.local.services"])
def test_production_starts_neither_the_demo_idp_nor_a_service_of_its_own(
    production: dict[str, str], module: str
) -> None:
    arguments = ["exec", "--", "true"] if module.endswith("services") else ["--port", "0"]
    # Without the URLs the runner would start its own services; with them there is nothing to start.
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=BASE_DIR,
        env=production,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert "production" in done.stderr.lower()


def test_development_makes_its_keys_once_and_for_its_owner_only(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HUB_ENV": "development", "HUB_VAR": str(tmp_path)}
    names = ("SECRET_KEY", "METRICS_TOKEN", "CREDENTIAL_KEYS", "SAML_SP_KEY_FILE")
    first, second = (json.loads(_load(environment, *names).stdout) for _ in range(2))
    assert first == second
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "keys").iterdir()} == {
        "secret_key": "0o600",
        "metrics_token": "0o600",
        "credential_key": "0o600",
        "saml_sp.key": "0o600",
        "saml_sp.crt": "0o600",
    }


def test_a_database_address_may_name_a_socket_a_password_with_signs_and_options() -> None:
    entry = database_from_url("postgres://hub:p%40ss%2Fword@/identity?host=/run/pg&sslmode=disable")
    assert (entry["HOST"], entry["USER"], entry["PASSWORD"], entry["NAME"]) == (
        "/run/pg",
        "hub",
        "p@ss/word",
        "identity",
    )
    assert entry["OPTIONS"]["sslmode"] == "disable"


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        pytest.param("", [], id="none: the machine's own"),
        pytest.param("192.0.2.53", [("192.0.2.53", 53)], id="an address"),
        pytest.param(
            "127.0.0.1:5353, 192.0.2.1 ", [("127.0.0.1", 5353), ("192.0.2.1", 53)], id="two, one with a port"
        ),
        pytest.param("2001:db8::53", [("2001:db8::53", 53)], id="an IPv6 address"),
        pytest.param("[2001:db8::53]:5353", [("2001:db8::53", 5353)], id="an IPv6 address with a port"),
    ],
)
def test_dns_servers(text: str, servers: list[tuple[str, int]]) -> None:
    assert dns_servers(text) == servers


@pytest.mark.parametrize("text", ["ns.example.org", "192.0.2.53:port", "[192.0.2.53", "192.0.2.53:99999"])
def test_a_dns_server_is_an_address(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="HUB_DNS_SERVERS"):
        dns_servers(text)
