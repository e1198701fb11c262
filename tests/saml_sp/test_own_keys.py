"""Two pairs of our own are published and one signs, so that keys change while people sign in."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog
from cryptography import x509
from django.conf import settings
from django.test import Client
from django.urls import reverse

from identity_hub.core.clock import now
from provisioning.models import Identity
from saml_sp import client as saml_client
from saml_sp import own_keys, tasks

from .idp import DS, ending, key_pair, parse
from .parties import Browser, make_tenant
from .test_protocol import signed_query_by

MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"


@pytest.fixture
def installed(settings: Any, tmp_path: Path) -> Iterator[Any]:
    """Installs pairs by name, as a restart with other files does: the first signs."""

    def install(signs: str, other: str = "") -> None:
        saml_client._clients.clear()
        for name in filter(None, (signs, other)):
            pair = key_pair(name)
            (tmp_path / f"{name}.key").write_bytes(pair.key)
            (tmp_path / f"{name}.crt").write_bytes(pair.certificate)
        settings.SAML_SP_KEY_FILE = str(tmp_path / f"{signs}.key")
        settings.SAML_SP_CERT_FILE = str(tmp_path / f"{signs}.crt")
        settings.SAML_SP_OTHER_KEY_FILE = str(tmp_path / f"{other}.key") if other else ""
        settings.SAML_SP_OTHER_CERT_FILE = str(tmp_path / f"{other}.crt") if other else ""

    yield install
    saml_client._clients.clear()
    own_keys._end.cache_clear()


STEPS = {
    "before": ("old", ""),
    "published": ("old", "new"),
    "swapped": ("new", "old"),
    "after": ("new", ""),
}


def published(browser: Browser, use: str) -> list[str]:
    answer = browser.client.get(reverse("saml:metadata", args=[browser.connection.pk]))
    return [
        "".join(certificate.text.split())
        for descriptor in parse(answer.content).iter(f"{MD}KeyDescriptor")
        if descriptor.get("use") == use
        for certificate in descriptor.iter(f"{{{DS}}}X509Certificate")
    ]


@pytest.mark.parametrize("step", STEPS)
def test_metadata_publishes_every_pair_the_one_that_signs_first(
    browser: Browser, installed: Any, step: str
) -> None:
    installed(*STEPS[step])
    assert published(browser, "signing") == [key_pair(name).certificate_text for name in STEPS[step] if name]


@pytest.mark.parametrize(
    ("step", "signer"), [("before", "old"), ("published", "old"), ("swapped", "new"), ("after", "new")]
)
def test_requests_are_signed_by_the_first_pair_only(
    browser: Browser, installed: Any, step: str, signer: str
) -> None:
    installed(*STEPS[step])
    query = urlsplit(browser.start().url).query
    signed_by = {
        name
        for name in ("old", "new")
        if signed_query_by(query, x509.load_pem_x509_certificate(key_pair(name).certificate))
    }
    assert signed_by == {signer}


@pytest.mark.parametrize(
    ("days", "said"),
    [
        pytest.param(31, [], id="more than a month before: nobody"),
        pytest.param(30, ["signing"], id="a month before"),
        pytest.param(-1, ["signing"], id="when it has ended"),
    ],
)
def test_the_end_of_an_own_certificate_is_seen_in_time(
    installed: Any, tmp_path: Path, client: Client, db: None, days: int, said: list[str]
) -> None:
    installed("old", "new")
    end = now() + timedelta(days=days, seconds=-60)
    (tmp_path / "old.crt").write_bytes(ending("old", end).certificate)
    with structlog.testing.capture_logs() as logs:
        tasks.watch_own_certificates()
    assert [(entry["event"], entry["pair"]) for entry in logs] == [
        ("saml:own-certificate-ends", pair) for pair in said
    ]
    for superuser in (True, False):
        tenant = None if superuser else make_tenant("acme", "acme.example")
        client.force_login(
            Identity.objects.create(
                local=True,
                login_name=f"admin-{superuser}",
                tenant=tenant,
                is_superuser=superuser,
                is_tenant_administrator=not superuser,
            )
        )
        page = client.get("/admin/").content.decode()
        assert ("own SAML certificate (the pair that signs)" in page) == (superuser and bool(said))
    numbers = client.get("/metrics", headers={"Authorization": f"Bearer {settings.METRICS_TOKEN}"})
    name = b'hub_saml_certificate_not_after_timestamp_seconds{pair="signing"} '
    (line,) = (line for line in numbers.content.splitlines() if line.startswith(name))
    assert float(line.removeprefix(name)) == pytest.approx(end.timestamp(), abs=1)
