"""Genuine answers with a random change: never somebody else, never a 500. The dice are seeded, so a failure repeats."""

import random
from collections.abc import Callable

import pytest
from lxml import etree

from provisioning.models import Identity
from tests.saml_sp.idp import Facts, TestIdp, parse
from tests.saml_sp.parties import Browser

ROUNDS = 60
VALUES = [
    "",
    "x",
    "-1",
    "#",
    "ünï",
    "a" * 5000,
    "2020-02-30T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
]

STYLES: dict[str, Callable[[TestIdp, Facts, bytes], str]] = {
    "assertion signed": lambda idp, facts, cert: idp.signed_assertion(facts),
    "Response signed": lambda idp, facts, cert: idp.signed_response(facts),
    "both signed": lambda idp, facts, cert: idp.signed_both(facts),
    "encrypted": lambda idp, facts, cert: idp.encrypted(facts, cert),
}


def mutate(dice: random.Random, xml: str) -> bytes:
    raw = bytearray(xml.encode())
    kind = dice.randrange(9)
    if kind == 0:
        for _ in range(dice.randrange(1, 5)):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        return bytes(raw)
    if kind == 1:
        return bytes(raw[: dice.randrange(len(raw))])
    root = parse(xml)
    everything = list(root.iter())
    one, other = dice.choice(everything[1:]), dice.choice(everything)
    if kind == 2:
        one.getparent().remove(one)
    elif kind == 3:
        other.append(parse(etree.tostring(one)))
    elif kind == 4 and one.attrib:
        del one.attrib[dice.choice(list(one.attrib))]
    elif kind == 5 and one.attrib:
        one.set(dice.choice(list(one.attrib)), dice.choice(VALUES))
    elif kind == 6:
        one.text = dice.choice(VALUES)
    elif kind == 7:
        one.tag = dice.choice([e.tag for e in everything])
    elif kind == 8 and one not in set(other.iterancestors()) | {other}:
        other.append(one)
    return etree.tostring(root)


@pytest.mark.parametrize("style", STYLES)
def test_a_changed_answer_is_refused_or_says_the_same(
    browser: Browser, sp_certificate: bytes, style: str
) -> None:
    dice = random.Random(style)
    genuine = STYLES[style](browser.idp, browser.facts(), sp_certificate)
    for number in range(ROUNDS):
        answer = browser.post(mutate(dice, genuine))
        assert answer.status_code in (302, 400, 403), f"round {number} of {style!r}"
        if answer.status_code == 302:
            genuine = STYLES[style](browser.idp, browser.facts(), sp_certificate)
    # What a change may reach outside of the signature says nothing about the person.
    assert set(Identity.objects.values_list("user_name", "email")) <= {("p-4711", "ada@corp.example")}
