"""Messages that must not sign anybody out. Each is sent while a person is signed in, and she stays."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from identity_hub.core.clock import now
from tests.identity_hub.core.test_certificates import UNREADABLE, text_of
from tests.saml_sp.idp import (
    SAML,
    SAMLP,
    KeyPair,
    deflate,
    encode,
    encrypt,
    key_pair,
    parse,
    sign,
)

from .scene import (
    Attack,
    Attacks,
    Message,
    Scene,
    Sent,
    assert_nobody_leaves,
    ds,
    find,
    logout_path,
    post,
    to_text,
)

ATTACKS = Attacks()
LONG = "a request that inflates without end"
"""Its address alone has fifty kilobytes, which gunicorn refuses by itself."""
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"


def request(scene: Scene, **changes: Any) -> str:
    """A LogoutRequest for Ada, as the IdP would write it."""
    fields: dict[str, Any] = {"destination": here(scene), "name_id": "p-4711", "at": now()}
    return scene.idp.logout_request(**fields | changes)


def here(scene: Scene) -> str:
    return scene.facts.acs.removesuffix("acs") + "logout"


def id_of(xml: str) -> str:
    return str(parse(xml).get("ID"))


def signed(scene: Scene, xml: str, pair: KeyPair | None = None, **options: Any) -> str:
    return sign(xml, pair or scene.idp.keys, id=id_of(xml), **options)


def naming(der: bytes, xml: str) -> str:
    root = parse(xml)
    ds(root, "X509Certificate").text = text_of(der)
    return to_text(root)


def by_post(scene: Scene, xml: str, field: str = "SAMLRequest") -> Sent:
    return Sent(path=logout_path(scene), body=f"{field}={quote_plus(encode(xml))}".encode())


def by_redirect(scene: Scene, query: str, **more: Any) -> Sent:
    return Sent(path=logout_path(scene), query=query, method="GET", **more)


def query(
    scene: Scene, xml: str, *, pair: KeyPair | None = None, algorithm: str = RSA_SHA256, digest: Any = None
) -> str:
    content = f"SAMLRequest={quote_plus(deflate(xml))}&SigAlg={quote_plus(algorithm)}"
    key = serialization.load_pem_private_key((pair or scene.idp.keys).key, password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    signature = key.sign(content.encode(), padding.PKCS1v15(), digest or hashes.SHA256())
    return f"{content}&Signature={quote_plus(base64.b64encode(signature).decode())}"


def his_own(scene: Scene) -> str:
    """What the honest IdP signed when the attacker signed out himself."""
    return query(scene, request(scene, name_id="mallory"))


def redirected(change: Callable[[str], str]) -> Callable[[Scene], Message]:
    return lambda scene: by_redirect(scene, change(query(scene, request(scene))))


def posted(**changes: Any) -> Callable[[Scene], Message]:
    return lambda scene: by_post(scene, signed(scene, request(scene, **changes)))


ATTACKS.row("not signed, by POST", "saml:unsigned", lambda s: by_post(s, request(s)))
ATTACKS.row("not signed, by redirect", "saml:unsigned", redirected(lambda q: q.partition("&SigAlg")[0]))
ATTACKS.row(
    "a SigAlg without a Signature", "saml:unsigned", redirected(lambda q: q.partition("&Signature")[0])
)
ATTACKS.row(
    "signed in the XML, which does not count by redirect",
    "saml:unsigned",
    lambda s: by_redirect(s, f"SAMLRequest={quote_plus(deflate(signed(s, request(s))))}"),
)
ATTACKS.row(
    "signed with the attacker's key, by POST",
    "saml:signature-invalid",
    lambda s: by_post(s, signed(s, request(s), key_pair("mallory"))),
)
for what, der in UNREADABLE.items():
    ATTACKS.row(
        f"signed with the attacker's key, by POST, in KeyInfo a certificate with {what}",
        "saml:signature-invalid",
        lambda s, der=der: by_post(s, naming(der, signed(s, request(s), key_pair("mallory")))),  # type: ignore[misc]
    )
ATTACKS.row(
    "signed with the attacker's key, by redirect",
    "saml:signature-invalid",
    lambda s: by_redirect(s, query(s, request(s), pair=key_pair("mallory"))),
)
ATTACKS.row(
    "signed with RSA and SHA-1, by redirect",
    "saml:algorithm",
    lambda s: by_redirect(
        s,
        query(s, request(s), algorithm="http://www.w3.org/2000/09/xmldsig#rsa-sha1", digest=hashes.SHA1()),  # noqa: S303 - the attack
    ),
)
ATTACKS.row(
    "an ECDSA algorithm named over an RSA signature",
    "saml:signature-invalid",
    lambda s: by_redirect(s, query(s, request(s), algorithm=RSA_SHA256.replace("rsa-", "ecdsa-"))),
)
ATTACKS.row(
    "the signed request with another after it",
    "saml:malformed",
    lambda s: by_redirect(s, f"{his_own(s)}&SAMLRequest={quote_plus(deflate(request(s)))}"),
)
ATTACKS.row(
    "the signed request with another after it, whose name is escaped",
    "saml:malformed",
    lambda s: by_redirect(s, f"{his_own(s)}&SAML%52equest={quote_plus(deflate(request(s)))}"),
)


@ATTACKS("the signed request with another after it, whose name is right in another charset", "saml:malformed")
def other_charset(scene: Scene) -> Message:
    # 0xD9 is an R in EBCDIC.
    forged = f"{his_own(scene)}&SAML%D9equest={quote_plus(deflate(request(scene)))}"
    return by_redirect(scene, forged, headers={"Content-Type": "text/plain; charset=cp037"})


ATTACKS.row(
    "a NUL for an algorithm, which no table could keep in the note",
    "saml:algorithm",
    lambda s: by_redirect(s, f"SAMLRequest={quote_plus(deflate(request(s)))}&Signature=AAAA&SigAlg=%00"),
)
ATTACKS.row(
    "a parameter twice whose name is a NUL",
    "saml:malformed",
    lambda s: by_redirect(s, f"SAMLRequest={quote_plus(deflate(request(s)))}&%00=1&%00=2"),
)
ATTACKS.row(
    "the signed request in the query, another in the body",
    "saml:replayed",
    lambda s: replayed(s, by_post(s, request(s, name_id="p-4711"))),
)


def replayed(scene: Scene, second: Sent) -> Message:
    """The query is the one that counts, and was used by the attacker's own sign-out."""
    own = his_own(scene)
    post(scene, by_redirect(scene, own))
    return Sent(path=second.path, query=own, body=second.body)


@ATTACKS("a recorded request by redirect, sent again", "saml:replayed")
def again_by_redirect(scene: Scene) -> Message:
    recorded = by_redirect(scene, query(scene, request(scene, name_id="somebody")))
    post(scene, recorded)
    return recorded


@ATTACKS("a recorded request by POST, sent again", "saml:replayed")
def again_by_post(scene: Scene) -> Message:
    recorded = by_post(scene, signed(scene, request(scene, name_id="somebody")))
    post(scene, recorded)
    return recorded


ATTACKS.row("an old request", "saml:too-old", posted(at=now() - timedelta(minutes=20)))
ATTACKS.row("a request of tomorrow", "saml:too-old", posted(at=now() + timedelta(days=1)))
ATTACKS.row(
    "a request that has run out",
    "saml:too-old",
    lambda s: by_post(
        s,
        signed(
            s, request(s).replace(' Version="2.0"', ' Version="2.0" NotOnOrAfter="2020-01-01T00:00:00Z"', 1)
        ),
    ),
)
ATTACKS.row(
    "a request for another service", "saml:destination-foreign", posted(destination="https://other.example")
)
ATTACKS.row(
    "a request that does not say for whom",
    "saml:destination-foreign",
    lambda s: by_post(s, signed(s, request(s).replace(f' Destination="{here(s)}"', ""))),
)
ATTACKS.row(
    "in the name of another IdP",
    "saml:issuer-foreign",
    lambda s: by_post(s, signed(s, request(s).replace(s.idp.entity_id, "https://other.example"))),
)
ATTACKS.row(
    "of SAML 1.1", "saml:version", lambda s: by_post(s, signed(s, request(s).replace('"2.0"', '"1.1"')))
)
ATTACKS.row(
    "a request that names nobody",
    "saml:subject-missing",
    lambda s: by_post(s, signed(s, request(s, name_id=""))),
)


@ATTACKS("another tenant's IdP names our person", "saml:signature-invalid")
def foreign_tenant(scene: Scene) -> Message:
    there = scene.elsewhere()
    return by_post(scene, signed(there, request(scene)))


@ATTACKS("another tenant's IdP, genuinely, at our address", "saml:signature-invalid")
def foreign_genuine(scene: Scene) -> Message:
    there = scene.elsewhere()
    return by_post(
        scene, signed(there, there.idp.logout_request(destination=here(scene), name_id="p-4711", at=now()))
    )


@ATTACKS("the attacker's signed request in the extensions of a forged one", "saml:wrapped")
def wrapped(scene: Scene) -> Message:
    genuine = parse(signed(scene, request(scene, name_id="mallory")))
    forged = parse(request(scene))
    extensions = parse(f'<samlp:Extensions xmlns:samlp="{SAMLP}"/>')
    extensions.append(genuine)
    forged.insert(1, extensions)
    return by_post(scene, to_text(forged))


@ATTACKS("the attacker's signed assertion inside a forged request", "saml:unsigned")
def around_an_assertion(scene: Scene) -> Message:
    forged = parse(request(scene))
    forged.append(find(parse(scene.minted(name_id="mallory", assertion_id="_captured")), "Assertion"))
    return by_post(scene, to_text(forged))


@ATTACKS("the signature of the attacker's own request on a forged one with its ID", "saml:signature-invalid")
def moved(scene: Scene) -> Message:
    genuine = parse(signed(scene, request(scene, name_id="mallory")))
    find(genuine, "NameID").text = "p-4711"
    return by_post(scene, to_text(genuine))


@ATTACKS("a signed request without an ID, referred to by an empty one", "saml:signature-reference")
def no_id(scene: Scene) -> Message:
    root = parse(signed(scene, request(scene, name_id="mallory")))
    del root.attrib["ID"]
    ds(root, "Reference").set("URI", "#")
    return by_post(scene, to_text(root))


@ATTACKS("an empty ID, referred to by an empty one", "saml:signature-reference")
def empty_id(scene: Scene) -> Message:
    root = parse(signed(scene, request(scene, name_id="mallory")))
    root.set("ID", "")
    ds(root, "Reference").set("URI", "#")
    return by_post(scene, to_text(root))


@ATTACKS("two NameIDs, the attacker's and the victim's", "saml:malformed")
def two_names(scene: Scene) -> Message:
    xml = request(scene, name_id="mallory")
    more = xml.replace("</samlp:LogoutRequest>", "<saml:NameID>p-4711</saml:NameID></samlp:LogoutRequest>")
    return by_post(scene, signed(scene, more))


@ATTACKS("an encrypted NameID for another service", "saml:decryption-failed")
def encrypted_for_another(scene: Scene) -> Message:
    xml = request(scene)
    start, end = xml.index("<saml:NameID"), xml.index("</saml:NameID>") + len("</saml:NameID>")
    name = xml[start:end].replace("<saml:NameID", f'<saml:NameID xmlns:saml="{SAML}"')
    hidden = encrypt(name, key_pair("mallory").certificate, wrapper="EncryptedID")
    return by_post(scene, signed(scene, xml[:start] + hidden + xml[end:]))


ATTACKS.row(
    "an entity in place of the name",
    "saml:doctype",
    lambda s: by_post(
        s, '<!DOCTYPE r [<!ENTITY x "p-4711">]>' + signed(s, request(s, name_id="x")).replace(">x<", ">&x;<")
    ),
)
ATTACKS.row(
    "a comment in the name",
    "saml:comment",
    lambda s: by_post(s, signed(s, request(s, name_id="p-4711.x")).replace("p-4711.x", "p-4711<!---->.x")),
    "CVE-2017-11427",
)
ATTACKS.row("a login's answer", "saml:malformed", lambda s: by_post(s, s.signed))
ATTACKS.row("nothing", "saml:malformed", lambda s: Sent(path=logout_path(s)))
ATTACKS.row(
    LONG,
    "saml:message-too-large",
    lambda s: by_redirect(s, f"SAMLRequest={quote(deflate('<a>' + ' ' * 40_000_000))}"),
    "CVE-2026-2575",
)
ATTACKS.row(
    "a hundred namespaces and prefixes", "saml:message-too-large", lambda s: by_post(s, prefixed(s, 100))
)


def prefixed(scene: Scene, count: int) -> str:
    declared = " ".join(f"xmlns:p{n}='urn:{n}'" for n in range(count))
    return signed(scene, request(scene).replace("<samlp:LogoutRequest", f"<samlp:LogoutRequest {declared}"))


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_nobody_is_signed_out_by(scene: Scene, attack: Attack) -> None:
    assert_nobody_leaves(scene, attack)


def test_what_is_attacked_works(scene: Scene) -> None:
    """Else every case above would pass for the wrong reason."""
    ways: list[Callable[[str], Sent]] = [
        lambda xml: by_post(scene, signed(scene, xml)),
        lambda xml: by_redirect(scene, query(scene, xml)),
    ]
    for way in ways:
        scene.browser.sign_in()
        assert scene.browser.me().status_code == 200
        assert post(scene, way(request(scene))).status_code == 302
        assert scene.browser.me().status_code == 401
