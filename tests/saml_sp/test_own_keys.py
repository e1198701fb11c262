"""Two pairs of our own are published and one signs, so that keys change while people sign in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from django.urls import reverse

from saml_sp import client

from .idp import DS, KeyPair, key_pair, parse
from .parties import Browser
from .test_protocol import signed_query_by

MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"


@pytest.fixture
def installed(settings: Any, tmp_path: Path) -> Iterator[Any]:
    """Installs pairs by name, as a restart with other files does: the first signs."""

    def install(signs: str, other: str = "") -> None:
        client._clients.clear()
        for name in filter(None, (signs, other)):
            pair = key_pair(name)
            (tmp_path / f"{name}.key").write_bytes(pair.key)
            (tmp_path / f"{name}.crt").write_bytes(pair.certificate)
        settings.SAML_SP_KEY_FILE = str(tmp_path / f"{signs}.key")
        settings.SAML_SP_CERT_FILE = str(tmp_path / f"{signs}.crt")
        settings.SAML_SP_OTHER_KEY_FILE = str(tmp_path / f"{other}.key") if other else ""
        settings.SAML_SP_OTHER_CERT_FILE = str(tmp_path / f"{other}.crt") if other else ""

    yield install
    client._clients.clear()


STEPS = {
    "before": ("old", ""),
    "published": ("old", "new"),
    "swapped": ("new", "old"),
    "after": ("new", ""),
}


def _published(browser: Browser, use: str) -> list[str]:
    answer = browser.client.get(reverse("saml:metadata", args=[browser.connection.pk]))
    return [
        "".join(certificate.text.split())
        for descriptor in parse(answer.content).iter(f"{MD}KeyDescriptor")
        if descriptor.get("use") == use
        for certificate in descriptor.iter(f"{{{DS}}}X509Certificate")
    ]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("use", ["signing", "encryption"])
def test_metadata_publishes_every_pair_the_one_that_signs_first(
    browser: Browser, installed: Any, step: str, use: str
) -> None:
    installed(*STEPS[step])
    assert _published(browser, use) == [key_pair(name).certificate_text for name in STEPS[step] if name]


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
    ("step", "encrypts_for"),
    [
        pytest.param("published", "old", id="the new pair is published, and the IdP has not read it"),
        pytest.param("published", "new", id="the new pair is published, and the IdP uses it already"),
        pytest.param("swapped", "old", id="the new pair signs, and the IdP still encrypts for the old one"),
        pytest.param("swapped", "new", id="the new pair signs, and the IdP encrypts for it"),
    ],
)
def test_nobody_is_refused_in_the_middle_of_the_change(
    browser: Browser, installed: Any, step: str, encrypts_for: str
) -> None:
    installed(*STEPS[step])
    pair: KeyPair = key_pair(encrypts_for)
    answer = browser.post(browser.idp.encrypted(browser.facts(), pair.certificate))
    assert (answer.status_code, answer.headers.get("Location")) == (302, "/me/")


def test_an_answer_to_a_request_of_before_the_swap_gets_in_after_it(browser: Browser, installed: Any) -> None:
    installed(*STEPS["published"])
    facts = browser.facts()
    installed(*STEPS["swapped"])
    assert browser.post(browser.idp.encrypted(facts, key_pair("old").certificate)).status_code == 302


def test_a_pair_that_was_dropped_opens_nothing(browser: Browser, installed: Any) -> None:
    installed(*STEPS["after"])
    answer = browser.post(browser.idp.encrypted(browser.facts(), key_pair("old").certificate))
    assert answer.status_code == 403
