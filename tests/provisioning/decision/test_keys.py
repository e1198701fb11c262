"""Which names are equal, and that two observations of one person meet in a lock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.decision.keys import (
    differing,
    domain_of,
    fold,
    has_something_to_see,
    lock_keys,
    look_alike,
    other_skeleton,
    skeleton,
)
from provisioning.decision.placeholders import is_nobodys
from provisioning.decision.types import Intent

from .world import EMAIL_FORMAT, OKTA, TRANSIENT_FORMAT, World, name

world = World()
POST = world.pushed(Intent.CREATE, "Ada", "key-1", hr_number="7", email="Ada@Example.org")


@pytest.mark.parametrize(
    ("other", "meets"),
    [
        pytest.param(world.pushed(Intent.CREATE, "ada", "x", email="x@x.org"), True, id="by userName"),
        pytest.param(world.pushed(Intent.CREATE, "x", "key-1", email="x@x.org"), True, id="by externalId"),
        pytest.param(world.asserted("x", "p", email="ada@example.org"), True, id="by e-mail"),
        pytest.param(world.asserted("x", "p", key="key-1", email="x@x.org"), True, id="by asserted key"),
        pytest.param(world.asserted("x", "key-1", email="x@x.org"), True, id="by persistent NameID"),
        pytest.param(
            world.asserted("", "ADA", format=EMAIL_FORMAT, email="x@x.org"), True, id="by a NameID's name"
        ),
        pytest.param(
            world.asserted("x", "p", email="x@x.org", hr_number="7", connection_id=OKTA),
            True,
            id="by HR number",
        ),
        pytest.param(
            world.pushed(Intent.CREATE, "\uff21da", "x", email="x@x.org"),
            True,
            id="by a name that looks like it",
        ),
        pytest.param(
            world.pushed(Intent.CREATE, "\uff41da", "x", email="x@x.org", connection_id=OKTA),
            True,
            id="by a name that looks like it, in another connection",
        ),
        pytest.param(
            world.pushed(Intent.CREATE, "x", "key-1", email="x@x.org", connection_id=OKTA),
            False,
            id="not by the key of another connection",
        ),
        pytest.param(
            world.asserted("x", "key-1", format=TRANSIENT_FORMAT, email="x@x.org"),
            False,
            id="not by a transient NameID",
        ),
        pytest.param(world.pushed(Intent.CREATE, "bob", "key-2"), False, id="not by nothing"),
    ],
)
def test_a_post_meets_another_observation(other, meets):
    assert bool(lock_keys(POST) & lock_keys(other)) is meets


def test_an_act_locks_what_it_is_addressed_to():
    act = world.pushed(Intent.UPDATE, "", account_id=name("a"), target_identity_id=name("i"), email="")
    assert lock_keys(act) == {("account", str(name("a"))), ("identity", str(name("i")))}


def test_names_fold_by_lower_case_and_look_alikes_are_no_equals():
    assert fold("ADA") == "ada"
    assert not look_alike("ADA", "ada")
    assert look_alike("straße", "strasse")
    assert look_alike("\uff41da", "ada")
    assert not look_alike("ada", "bob")


@pytest.mark.parametrize(
    "hidden", "\u00ad\u034f\u200b\u200c\u200d\u2060\u3164\ufe0f\ufeff\U000e0020", ids=ascii
)
def test_what_no_font_shows_makes_no_other_name(hidden):
    assert look_alike(f"a{hidden}da@x.org", "ada@x.org")
    assert other_skeleton(f"a{hidden}da") == "ada"
    assert look_alike(f"jose{hidden}\u0301", "jos\u00e9")
    assert not has_something_to_see(f" {hidden} ")


@pytest.mark.parametrize("text", ["", " \u00a0", "\u2800", "\u200b\u2060"], ids=ascii)
def test_blanks_show_nothing(text):
    assert not has_something_to_see(text)
    assert has_something_to_see(f"{text}.")


@pytest.mark.parametrize(
    ("name", "looks", "other"),
    [
        pytest.param("Ada", "ada", "", id="ASCII is its own"),
        pytest.param("J\u00f3zef", "j\u00f3zef", "", id="so is what folds to itself"),
        pytest.param("Straße", "strasse", "strasse", id="a sharp s"),
        pytest.param("\uff21\uff44\uff41", "ada", "ada", id="wide letters"),
        pytest.param("\ufdfa" * 40, None, None, id="a letter that stands for eighteen is cut"),
    ],
)
def test_a_skeleton_is_kept_where_it_is_not_the_folded_name(name, looks, other):
    if looks is None:
        assert len(skeleton(name)) == len(other_skeleton(name)) == 512
    else:
        assert (skeleton(name), other_skeleton(name)) == (looks, other)


@pytest.mark.parametrize(
    ("one", "other", "pieces"),
    [
        ("\ufb01ona", "FIONA", ("\ufb01", "fi")),
        ("jos\u00e9@x", "jose\u0301@x", ("\u00e9", "e\u0301")),
        ("\uff41d\uff41", "ada", ("\uff41d\uff41", "ada")),
        ("ada", "ada", ("", "")),
        ("aa", "a", ("a", "")),
    ],
)
def test_where_two_names_differ(one, other, pieces):
    assert differing(one, other) == pieces
    assert differing(other, one) == pieces[::-1]


@pytest.mark.parametrize(
    ("email", "domain"),
    [("a@X.org", "x.org"), ("a@", ""), ("@x.org", ""), ("a.x.org", ""), ("a@b@x.org", ""), ("", "")],
)
def test_a_malformed_email_has_no_domain(email, domain):
    assert domain_of(email) == domain


@pytest.mark.parametrize(
    ("domain", "known_as"),
    [
        pytest.param("B\u00fccher.Example", "xn--bcher-kva.example", id="letters beyond ASCII"),
        pytest.param(
            "mail.b\u00fccher.\u65e5\u672c", "mail.xn--bcher-kva.xn--wgv71a", id="in several labels"
        ),
        pytest.param("XN--BCHER-KVA.example", "xn--bcher-kva.example", id="its xn-- form already"),
        pytest.param("stra\u00dfe.example", "xn--strae-oqa.example", id="a sharp s, which is no ss"),
        pytest.param("\u0441\u043erp.example", "xn--rp-emcl.example", id="another script is another domain"),
        pytest.param("bu\u0308cher.example", "", id="letters that are not composed"),
        pytest.param("\uff43orp.example", "", id="a wide letter"),
        pytest.param("corp\uff0eexample", "", id="a wide full stop"),
        pytest.param("corp\u3002example", "", id="an ideographic full stop"),
        pytest.param("corp.example\uff0eb\u00fccher", "", id="a wide full stop beside a good letter"),
        pytest.param("co\u00adrp.example", "", id="a soft hyphen"),
        pytest.param("co\u200brp.example", "", id="a letter without a width"),
        pytest.param("boo\u212a.example", "", id="the Kelvin sign, a k in lower case"),
        pytest.param("boo\u212a-b\u00fccher.example", "", id="the Kelvin sign beside a good letter"),
        pytest.param("xn--b\u00fccher.example", "", id="half in its xn-- form"),
        pytest.param("-\u00fc.example", "", id="a hyphen at its end"),
        pytest.param("\u00fc_.example", "", id="a mark that is in no domain"),
        pytest.param("\u00fc" * 64 + ".example", "", id="a label that is too long"),
        pytest.param("\ud800.example", "", id="half a letter"),
        pytest.param("\u00fc@corp.example", "", id="two of them"),
    ],
)
def test_a_domain_is_what_the_dns_knows_it_as(domain, known_as):
    assert domain_of(f"ada@{domain}") == known_as
    assert domain_of(f"jos\u00e9@{domain}") == known_as


@given(st.text(min_size=1, max_size=20))
def test_whatever_a_domain_holds_it_is_known_in_ascii_or_not_at_all(domain):
    known_as = domain_of(f"ada@{domain}.example")
    assert known_as.isascii()
    assert known_as in ("", f"{domain.lower()}.example") or "xn--" in known_as


@pytest.mark.parametrize(
    ("key", "nobodys"),
    [
        *(
            (key, True)
            for key in ("0", "000000", "0-0.0", "-", "…", "null", " N/A ", "None", "UNDEFINED", "")
        ),
        *((key, True) for key in ("user.objectId", "${user.id}", "x{{ id }}")),
        *(
            (key, False)
            for key in ("10", "null-1", "0a", "user.smith", "N", "é", "李", "nullmann@acme.example")
        ),
    ],
)
def test_a_placeholder_and_zeros_are_nobodys_key(key, nobodys):
    assert is_nobodys(key) is nobodys
