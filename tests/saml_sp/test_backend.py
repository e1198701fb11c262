"""The parts of pysaml2 that the hub replaces are the ones in use, and the libraries fit together."""

import base64
import re
from copy import deepcopy
from pathlib import Path

import pytest
import saml2.sigver
import xmlsec
from django.core.exceptions import ImproperlyConfigured
from lxml import etree

from provisioning.models import Connection
from saml_sp import backend, client, startup
from saml_sp.message import XENC

from .idp import assertion_xml, encrypt, parse
from .parties import Browser


def test_the_injected_backend_is_the_one_in_use(connection: Connection) -> None:
    sec = client.client_of(connection).sec
    assert type(sec) is backend.Security
    assert type(sec.crypto) is backend.XmlSecBackend
    assert type(sec.sec_backend) is saml2.sigver.RSACrypto


def test_the_quick_schema_check_is_the_one_in_use() -> None:
    assert saml2.sigver.validate_doc_with_schema is backend.validate_quickly


def test_both_libraries_carry_one_libxml2(monkeypatch: pytest.MonkeyPatch) -> None:
    startup.require_one_libxml2()
    monkeypatch.setattr(xmlsec, "get_libxml_version", lambda: (2, 9, 1))
    with pytest.raises(ImproperlyConfigured, match="libxml2"):
        startup.require_one_libxml2()


def test_pysaml2_is_imported_in_two_modules_only() -> None:
    folder = Path(client.__file__).parent
    users = {p.name for p in folder.rglob("*.py") if re.search(r"^(from|import) saml2", p.read_text(), re.M)}
    assert users == {"backend.py", "client.py"}


def test_a_login_asks_the_injected_backend(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    original = backend.signed_by

    def spy(element: etree._Element, certificate: bytes) -> bool:
        asked.append(certificate)
        return original(element, certificate)

    monkeypatch.setattr(backend, "signed_by", spy)
    assert browser.sign_in().status_code == 302
    assert len(asked) == 1


def test_what_lxml_refuses_the_slow_schema_check_judges(browser: Browser) -> None:
    # pysaml2 re-serialises an empty value with xsi:type="xs:string" and drops the declaration of xs.
    attributes = {"email": ["ada@corp.example"], "department": [""]}
    assert browser.sign_in(attributes=attributes).status_code == 302


def test_decrypted_content_may_rely_on_outer_prefixes(browser: Browser, sp_certificate: bytes) -> None:
    plain = assertion_xml(browser.facts())
    holder = etree.fromstring(encrypt(plain, sp_certificate))
    fragment = b"<saml:NameID>x</saml:NameID>"
    assert backend._parse_in(holder, fragment).text == "x"


def test_bad_padding_costs_no_more_keys_than_good(
    browser: Browser, sp_certificate: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a padding oracle by time, where every key is tried until one opens to something."""
    asked: list[str] = []
    original = backend._unlock

    def spy(encrypted: etree._Element, key: xmlsec.Key) -> bytes | None:
        asked.append(encrypted.tag)
        return original(encrypted, key)

    monkeypatch.setattr(backend, "_unlock", spy)
    sent = browser.idp.encrypted(browser.facts(), sp_certificate, cipher=xmlsec.constants.TransformAes256Cbc)
    root = parse(sent)
    key = next(root.iter(f"{{{XENC}}}EncryptedKey"))
    for _ in range(3):
        key.addnext(deepcopy(key))
    value = list(root.iter(f"{{{XENC}}}CipherValue"))[-1]
    raw = bytearray(base64.b64decode(value.text))
    raw[-17] ^= 0x80
    bad = deepcopy(root)
    list(bad.iter(f"{{{XENC}}}CipherValue"))[-1].text = base64.b64encode(raw).decode()
    assert browser.post(etree.tostring(bad)).status_code == 403
    tried, asked[:] = list(asked), []
    assert browser.post(etree.tostring(root)).status_code == 302
    assert asked == tried == [f"{{{XENC}}}EncryptedKey"]
