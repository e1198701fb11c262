"""How the message travels: forms, methods, encodings, parameters, RelayState. The message is genuine, or absent."""

import json
from collections.abc import Callable
from urllib.parse import quote_plus, urlencode

import pytest

from tests.saml_sp.idp import SAMLP, deflate, encode

from .scene import Attack, Attacks, Make, Scene, Sent, assert_refused, post

ATTACKS = Attacks()
FORM = "application/x-www-form-urlencoded"


def fields(scene: Scene) -> str:
    return urlencode({"SAMLResponse": encode(scene.signed)})


def body(make: Callable[[Scene], str], content_type: str = FORM, **headers: str) -> Make:
    return lambda s: Sent(body=make(s).encode(), content_type=content_type, headers=headers)


def multipart(scene: Scene, *, disposition: str = 'name="SAMLResponse"', boundary: str = "x") -> str:
    return (
        f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{encode(scene.signed)}\r\n"
        f"--{boundary}--\r\n"
    )


# Where it is looked for.

ATTACKS.row("nothing", "saml:malformed", lambda s: Sent())
ATTACKS.row("an empty field", "saml:malformed", body(lambda s: "SAMLResponse="))
ATTACKS.row("a genuine message in the query", "saml:malformed", lambda s: Sent(query=fields(s)))
ATTACKS.row("a genuine message by GET", "saml:method", lambda s: Sent(method="GET", query=fields(s)))
ATTACKS.row(
    "a genuine message by redirect",
    "saml:method",
    lambda s: Sent(method="GET", query=f"SAMLResponse={quote_plus(deflate(s.signed))}"),
)
for _method in ("PUT", "PATCH", "DELETE", "OPTIONS", "POSTX"):
    ATTACKS.row(
        f"a genuine message by {_method}",
        "saml:method",
        lambda s, method=_method: Sent(method=method, body=fields(s).encode()),
    )
ATTACKS.row(
    "a genuine message in the field of requests",
    "saml:malformed",
    body(lambda s: f"SAMLRequest={quote_plus(encode(s.signed))}"),
)
ATTACKS.row(
    "a genuine message in a field of another spelling", "saml:malformed", body(lambda s: fields(s).lower())
)
ATTACKS.row("a reference to an artifact", "saml:malformed", body(lambda s: "SAMLart=AAQAAMFbLinlXaCM"))
ATTACKS.row(
    "a forged message in the query, a genuine one in the body, the other way round",
    "saml:malformed",
    lambda s: Sent(query=fields(s), body=f"SAMLResponse={quote_plus(encode('<a/>'))}".encode()),
)

# Twice.

ATTACKS.row(
    "two messages, the genuine one last",
    "saml:malformed",
    body(lambda s: f"SAMLResponse={quote_plus(encode('<a/>'))}&{fields(s)}"),
)
ATTACKS.row(
    "two messages, the genuine one first",
    "saml:malformed",
    body(lambda s: f"{fields(s)}&SAMLResponse={quote_plus(encode('<a/>'))}"),
)
ATTACKS.row("the genuine message twice", "saml:malformed", body(lambda s: f"{fields(s)}&{fields(s)}"))
ATTACKS.row(
    "the genuine message twice, once with its name escaped",
    "saml:malformed",
    body(lambda s: f"{fields(s)}&{fields(s).replace('SAMLR', 'SAML%52')}"),
)

# Of another type.

ATTACKS.row(
    "JSON",
    "saml:malformed",
    body(lambda s: json.dumps({"SAMLResponse": encode(s.signed)}), "application/json"),
)
ATTACKS.row("XML itself", "saml:malformed", body(lambda s: s.signed, "text/xml"))
ATTACKS.row("SOAP", "saml:malformed", body(lambda s: s.signed, "application/soap+xml"))
ATTACKS.row("plain text", "saml:malformed", body(fields, "text/plain"))
ATTACKS.row("no type", "saml:malformed", body(fields, ""))
ATTACKS.row(
    "a packed form",
    "saml:malformed",
    lambda s: Sent(body=b"\x1f\x8b\x08\x00", headers={"Content-Encoding": "gzip"}),
)
ATTACKS.row(
    "a file in the place of a field",
    "saml:malformed",
    body(
        lambda s: multipart(s, disposition='name="SAMLResponse"; filename="a.xml"'),
        "multipart/form-data; boundary=x",
    ),
)
ATTACKS.row("parts without a boundary", "saml:malformed", body(multipart, "multipart/form-data"))
ATTACKS.row(
    "parts with another boundary", "saml:malformed", body(multipart, "multipart/form-data; boundary=y")
)
ATTACKS.row(
    "a part in base64 that is none",
    "saml:malformed",
    body(
        lambda s: multipart(s).replace("\r\n\r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n!", 1),
        "multipart/form-data; boundary=x",
    ),
)
for _charset in (
    "utf-16",
    "utf-7",
    "cp037",
    "hex",
    "idna",
    "punycode",
    "undefined",
):
    ATTACKS.row(f"a form in {_charset}", "saml:malformed", body(fields, f"{FORM}; charset={_charset}"))
    ATTACKS.row(
        f"parts in {_charset}",
        "saml:malformed",
        body(multipart, f"multipart/form-data; boundary=x; charset={_charset}"),
    )


# What comes along.


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_nobody_comes_in_by(scene: Scene, attack: Attack) -> None:
    assert_refused(scene, attack)


RELAY_STATES = {
    "another site": "https://evil.example/",
    "another site without a scheme": "//evil.example",
    "another site with three slashes": "///evil.example",
    "another site with a backslash": "/\\evil.example",
    "another site behind a tab": "/\t/evil.example",
    "another site behind escapes": "%2F%2Fevil.example",
    "another site with a name before it": "https://testserver@evil.example/",
    "a script": "javascript:alert(1)",
    "data": "data:text/html,<script>alert(1)</script>",
    "a header": "/me/\r\nSet-Cookie: x=y",
    "a header, escaped by half": "/me/\rLocation: https://evil.example",
    "a NUL": "/me/\0",
    "a page of words": "/" + "x" * 5000,
    "what is no address": "état",
    "a look-alike slash": "\u2215\u2215evil.example",
    "a relative address": "evil.example/me/",
}


def assert_sent_nowhere_else(scene: Scene, relay_state: str) -> None:
    there = scene.with_tiles()
    answer = post(scene, there.sent(there.signed, RelayState=relay_state))
    assert (answer.status_code, answer["Location"]) == (302, "/me/")
    assert "Set-Cookie: x" not in str(answer.headers)


@pytest.mark.parametrize("relay_state", RELAY_STATES)
def test_a_person_is_sent_nowhere_else_by(scene: Scene, relay_state: str) -> None:
    """Whoever brings the message may write into RelayState what he likes: no signature covers it."""
    assert_sent_nowhere_else(scene, RELAY_STATES[relay_state])


@pytest.mark.parametrize(
    "relay_state", ["/admin/", "https://evil.example/", *list(RELAY_STATES.values())[:4]]
)
def test_after_a_request_of_ours_it_says_nothing(scene: Scene, relay_state: str) -> None:
    answer = scene.browser.post(scene.signed, RelayState=relay_state)
    assert (answer.status_code, answer["Location"]) == (302, "/me/")


def test_what_was_refused_is_not_written_into_the_page(scene: Scene) -> None:
    """Attack: a message whose values are markup, posted by the victim's browser."""
    script = "<script>alert(1)</script>"
    for message in (
        scene.minted(destination=script),
        scene.minted(response_issuer=script),
        scene.minted(status=script.replace("<", "&lt;")),
        f'<x:{"y"} xmlns:x="{SAMLP}" ID="&lt;script&gt;"/>',
    ):
        answer = scene.browser.post(message, RelayState=script)
        assert answer.status_code >= 400
        assert b"alert(1)" not in answer.content


def test_what_is_attacked_works(scene: Scene) -> None:
    """Else the parts above would pass for the wrong reason."""
    sent = body(multipart, "multipart/form-data; boundary=x")(scene)
    assert post(scene, sent).status_code == 302
