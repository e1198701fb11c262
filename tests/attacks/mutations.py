"""Random changes of a form that carries a SAML response. Knows XML and HTTP forms; no key, no hub.

Every change takes its dice as an argument, so that the same dice make the same change again.
"""

import base64
from collections.abc import Callable
from random import Random
from urllib.parse import quote_plus

from lxml import etree

from tests.saml_sp.idp import DS, SAML, SAMLP, parse

Text = Callable[[Random, bytes], bytes]
Tree = Callable[[Random, etree._Element], None]

VALUES = (
    *(
        "",
        " ",
        "x",
        "-1",
        "0",
        "true",
        "#",
        "ünï",
        "a" * 5000,
        "\u202e",
        "administrator",
        "p-4711 ",
        "P-4711",
    ),
    *(
        "2020-02-30T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "2026-W49",
        "20261130",
    ),
    *("urn:oasis:names:tc:SAML:2.0:status:Success", "urn:oasis:names:tc:SAML:2.0:cm:bearer", "1.1", "2.0"),
    *("boss@corp.example", "administrator@corp.example", "//evil.example", "http://127.0.0.1:9/"),
    *("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
)
PIECES = (
    b"<!--x-->",
    b"<?x?>",
    b"<![CDATA[x]]>",
    b"&#0;",
    b"&amp;",
    b"\0",
    b"\xff",
    b"<x/>",
    b"]]>",
    b"<!DOCTYPE a>",
    b"\xef\xbb\xbf",
)


def _elements(root: etree._Element) -> list[etree._Element]:
    return [node for node in root.iter() if isinstance(node.tag, str)]


def _inner(dice: Random, root: etree._Element) -> etree._Element | None:
    found = _elements(root)[1:]
    return dice.choice(found) if found else None


def _with_attributes(dice: Random, root: etree._Element) -> etree._Element | None:
    found = [node for node in _elements(root) if node.attrib]
    return dice.choice(found) if found else None


def _copy(node: etree._Element) -> etree._Element:
    return parse(etree.tostring(node, with_tail=False))


# Of the tree.


def remove(dice: Random, root: etree._Element) -> None:
    if (node := _inner(dice, root)) is not None:
        node.getparent().remove(node)


def double(dice: Random, root: etree._Element) -> None:
    if (node := _inner(dice, root)) is not None:
        node.addnext(_copy(node))


def copy_elsewhere(dice: Random, root: etree._Element) -> None:
    if (node := _inner(dice, root)) is not None:
        place = dice.choice(_elements(root))
        place.insert(dice.randrange(len(place) + 1), _copy(node))


def move(dice: Random, root: etree._Element) -> None:
    node = _inner(dice, root)
    place = dice.choice(_elements(root))
    if node is not None and place is not node and node not in set(place.iterancestors()):
        place.insert(dice.randrange(len(place) + 1), node)


def swap(dice: Random, root: etree._Element) -> None:
    one, other = _inner(dice, root), _inner(dice, root)
    if one is None or other is None:
        return
    if one is not other and one not in set(other.iterancestors()) and other not in set(one.iterancestors()):
        place = etree.Element("place")
        one.getparent().replace(one, place)
        other.getparent().replace(other, one)
        place.getparent().replace(place, other)


def rename(dice: Random, root: etree._Element) -> None:
    if (node := _inner(dice, root)) is not None:
        node.tag = dice.choice([each.tag for each in _elements(root)])


def to_another_namespace(dice: Random, root: etree._Element) -> None:
    node = dice.choice(_elements(root))
    node.tag = f"{{{dice.choice((SAML, SAMLP, DS, 'urn:x'))}}}{etree.QName(node).localname}"


def around(dice: Random, root: etree._Element) -> None:
    if (node := _inner(dice, root)) is not None:
        wrapper = etree.Element(
            dice.choice([f"{{{SAMLP}}}Extensions", f"{{{SAML}}}Advice", f"{{{DS}}}Object", "x"])
        )
        node.getparent().replace(node, wrapper)
        wrapper.append(node)


def forged_beside(dice: Random, root: etree._Element) -> None:
    assertion = next(root.iter(f"{{{SAML}}}Assertion"), None)
    if assertion is None:
        return
    forged = _copy(assertion)
    forged.set("ID", dice.choice(["_forged", assertion.get("ID", "")]))
    for name in forged.iter(f"{{{SAML}}}NameID"):
        name.text = "administrator"
    place = dice.choice(_elements(root))
    place.insert(dice.randrange(len(place) + 1), forged)


def comment_into(dice: Random, root: etree._Element) -> None:
    node = dice.choice(_elements(root))
    extra = dice.choice([etree.Comment("x"), etree.ProcessingInstruction("x")])
    node.insert(dice.randrange(len(node) + 1), extra)


def drop_attribute(dice: Random, root: etree._Element) -> None:
    if (node := _with_attributes(dice, root)) is not None:
        del node.attrib[dice.choice(list(node.attrib))]


def set_attribute(dice: Random, root: etree._Element) -> None:
    if (node := _with_attributes(dice, root)) is not None:
        node.set(dice.choice(list(node.attrib)), dice.choice(VALUES))


def swap_attributes(dice: Random, root: etree._Element) -> None:
    one, other = _with_attributes(dice, root), _with_attributes(dice, root)
    if one is not None and other is not None:
        a, b = dice.choice(list(one.attrib)), dice.choice(list(other.attrib))
        first, second = one.get(a), other.get(b)
        one.set(a, second)
        other.set(b, first)


def rename_attribute(dice: Random, root: etree._Element) -> None:
    if (node := _with_attributes(dice, root)) is not None:
        name = dice.choice(list(node.attrib))
        value = node.attrib.pop(name)
        node.set(dice.choice(["Id", "id", "ID", f"{{{SAML}}}ID", name.lower(), "x"]), value)


def set_text(dice: Random, root: etree._Element) -> None:
    dice.choice(_elements(root)).text = dice.choice(VALUES)


def cut_text(dice: Random, root: etree._Element) -> None:
    node = dice.choice(_elements(root))
    if node.text:
        node.text = node.text[: dice.randrange(len(node.text))]


def spoil_text(dice: Random, root: etree._Element) -> None:
    node = dice.choice(_elements(root))
    if node.text:
        at = dice.randrange(len(node.text))
        node.text = node.text[:at] + dice.choice("xX0 é\n") + node.text[at + 1 :]


def text_beside(dice: Random, root: etree._Element) -> None:
    if (node := _inner(dice, root)) is not None:
        node.tail = dice.choice(["x", " ", "\n", "administrator"])


def spoil_certificate(dice: Random, root: etree._Element) -> None:
    """One byte of the DER inside: what changes its base64 seldom leaves a certificate."""
    named = [node for node in root.iter(f"{{{DS}}}X509Certificate") if node.text]
    if named:
        node = dice.choice(named)
        der = bytearray(base64.b64decode(node.text))
        # The version, the names and the dates stand at the beginning.
        der[dice.randrange(min(len(der), dice.choice((20, 200, 1000))))] = dice.choice((0, 1, 3, 0x7F, 0xFF))
        node.text = base64.b64encode(bytes(der)).decode()


TREES: tuple[Tree, ...] = (
    remove,
    double,
    copy_elsewhere,
    move,
    swap,
    rename,
    to_another_namespace,
    around,
    forged_beside,
    comment_into,
    drop_attribute,
    set_attribute,
    swap_attributes,
    rename_attribute,
    set_text,
    cut_text,
    spoil_text,
    text_beside,
    spoil_certificate,
)

# Of the bytes: of the XML, of its base64, and of the form.


def flip(dice: Random, raw: bytes) -> bytes:
    spoilt = bytearray(raw)
    for _ in range(dice.randrange(1, 5)):
        spoilt[dice.randrange(len(spoilt))] = dice.randrange(256)
    return bytes(spoilt)


def one_bit(dice: Random, raw: bytes) -> bytes:
    spoilt = bytearray(raw)
    spoilt[dice.randrange(len(spoilt))] ^= 1 << dice.randrange(8)
    return bytes(spoilt)


def cut(dice: Random, raw: bytes) -> bytes:
    return raw[: dice.randrange(len(raw))]


def leave_out(dice: Random, raw: bytes) -> bytes:
    at = dice.randrange(len(raw))
    return raw[:at] + raw[at + dice.randrange(1, 40) :]


def repeat(dice: Random, raw: bytes) -> bytes:
    at = dice.randrange(len(raw))
    end = at + dice.randrange(1, 200)
    return raw[:end] + raw[at:end] + raw[end:]


def put_in(dice: Random, raw: bytes) -> bytes:
    at = dice.randrange(len(raw))
    return raw[:at] + dice.choice(PIECES) + raw[at:]


def before(dice: Random, raw: bytes) -> bytes:
    return dice.choice(PIECES) + raw


def after(dice: Random, raw: bytes) -> bytes:
    return raw + dice.choice(PIECES)


def as_utf16(dice: Random, raw: bytes) -> bytes:
    return raw.decode("utf-8", "replace").encode(dice.choice(["utf-16", "utf-16-le", "utf-32"]))


def twice(dice: Random, raw: bytes) -> bytes:
    return raw + raw


BYTES: tuple[Text, ...] = (
    flip,
    one_bit,
    cut,
    leave_out,
    repeat,
    put_in,
    before,
    after,
    as_utf16,
    twice,
)


def blanks(dice: Random, raw: bytes) -> bytes:
    at = dice.randrange(len(raw))
    return raw[:at] + dice.choice([b"\r\n", b" ", b"\t", b"=", b"-", b"_", b"%"]) + raw[at:]


def again_in_base64(dice: Random, raw: bytes) -> bytes:
    return base64.b64encode(raw)


BASE64: tuple[Text, ...] = (blanks, blanks, flip, one_bit, cut, leave_out, repeat, again_in_base64, twice)


def other_field(dice: Random, raw: bytes) -> bytes:
    name = dice.choice([b"SAMLRequest", b"samlresponse", b"SAMLResponse%00", b"SAMLResponse[]", b"SAMLart"])
    return raw.replace(b"SAMLResponse", name, 1)


def second_field(dice: Random, raw: bytes) -> bytes:
    return dice.choice([raw + b"&SAMLResponse=PGEvPg==", b"SAMLResponse=PGEvPg==&" + raw, raw + b"&" + raw])


def escaped(dice: Random, raw: bytes) -> bytes:
    at = dice.randrange(len(raw))
    return raw[:at] + b"%%%02X" % raw[at] + raw[at + 1 :]


def relay_state(dice: Random, raw: bytes) -> bytes:
    return raw + b"&RelayState=" + quote_plus(dice.choice(VALUES)).encode()


FORMS: tuple[Text, ...] = (
    other_field,
    second_field,
    escaped,
    relay_state,
    flip,
    one_bit,
    cut,
    leave_out,
    put_in,
)


def mutated(dice: Random, xml: str) -> tuple[bytes, tuple[str, ...]]:
    """The body of the form, and the names of what was done to it, in this order."""
    done: list[str] = []
    root = parse(xml)
    level = dice.random()
    if level < 0.6:
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            change = dice.choice(TREES)
            try:
                change(dice, root)
            except ValueError:
                # What XML cannot hold is no message.
                continue
            done.append(change.__name__)
    raw = etree.tostring(root) if done else xml.encode()
    if 0.6 <= level < 0.8:
        text = dice.choice(BYTES)
        raw = text(dice, raw)
        done.append(text.__name__)
    encoded = base64.b64encode(raw)
    if 0.8 <= level < 0.9:
        text = dice.choice(BASE64)
        encoded = text(dice, encoded)
        done.append(f"base64: {text.__name__}")
    body = b"SAMLResponse=" + quote_plus(encoded).encode()
    if level >= 0.9:
        text = dice.choice(FORMS)
        body = text(dice, body)
        done.append(f"form: {text.__name__}")
    return body, tuple(done)
