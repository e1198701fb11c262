"""Genuine answers with random changes: nobody else, nothing else, and never a 500.

500 of them in every run of the tests. `make fuzz` rolls 10,000, with other dice each day; a failure names its dice and
its round, which `make fuzz SEED=... ARGS="--fuzz-only='style:round'"` plays again.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from random import Random
from typing import Any

import pytest

from identity_hub.core.clock import now
from provisioning.models import Account, Identity, Session
from saml_sp.models import ConsumedAssertion, LoginAttempt
from tests.saml_sp.idp import sign

from .mutations import mutated
from .scene import Scene, Sent, post

STYLES = ("assertion", "response", "both", "encrypted", "sealed", "encrypted in a signed Response")
FRESH = timedelta(minutes=2)
"""A message is used for so long, unless it was used up before."""


@dataclass(frozen=True, kw_only=True)
class Genuine:
    scene: Scene
    xml: str
    at: datetime


def mint(scene: Scene, style: str) -> Genuine:
    there = scene.at(scene.another_browser())
    facts = there.facts.but(
        session_index="_session-of-ada",
        session_not_on_or_after=there.facts.at + timedelta(hours=3),
        attributes=there.facts.attributes | {"groups": ["staff", "admins"], "department": ["Engines"]},
    )
    match style:
        case "both":
            xml = there.idp.signed_both(facts)
        case "encrypted in a signed Response":
            xml = sign(there.idp.encrypted(facts, there.sp_certificate), there.idp.keys, id=facts.response_id)
        case _:
            xml = there.minted(
                style=style,
                **{
                    name: getattr(facts, name)
                    for name in ("session_index", "session_not_on_or_after", "attributes")
                },
            )
    return Genuine(scene=there, xml=xml, at=facts.at)


def meaning(at: datetime) -> dict[str, Any]:
    """Who is signed in, and everything that the assertion said."""
    identity, account, session = Identity.objects.get(), Account.objects.get(), Session.objects.get()
    facts = {name: value for name, value in session.get_decoded().items() if not name.startswith("_")}
    return {
        "identity": (
            identity.pk,
            identity.user_name,
            identity.email,
            identity.given_name,
            identity.family_name,
        ),
        "subject": (account.subject_issuer, account.subject_format, account.subject_value),
        "assertion": account.assertion,
        "session": (session.identity_id, session.account_id, session.session_index),
        "facts": facts,
        "hours": round((session.expire_date - at) / timedelta(hours=1), 1),
    }


# A serial number below nought, in a certificate that counts for nothing, is read with a warning.
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("style", STYLES)
def test_a_changed_answer_is_refused_or_says_the_same(
    scene: Scene, style: str, request: pytest.FixtureRequest
) -> None:
    seed, only = request.config.getoption("--fuzz-seed"), request.config.getoption("--fuzz-only")
    rounds = range(ceil(request.config.getoption("--fuzz-rounds") / len(STYLES)))
    if only:
        wanted, _, number = only.rpartition(":")
        rounds = range(int(number), int(number) + 1) if wanted == style else range(0)
    genuine = mint(scene, style)
    assert post(genuine.scene, genuine.xml).status_code == 302
    said = meaning(genuine.at)
    Session.objects.all().delete()
    genuine = mint(scene, style)
    used, ends = ConsumedAssertion.objects.count(), Counter[str]()
    for number in rounds:
        body, changes = mutated(Random(f"{seed}/{style}/{number}"), genuine.xml)
        told = f"--fuzz-seed={seed} --fuzz-only='{style}:{number}' ({', '.join(changes)})"
        answer = post(genuine.scene, Sent(body=body))
        ends[answer.status_code] += 1
        assert answer.status_code in (302, 400, 403, 413), told
        assert (Identity.objects.count(), Account.objects.count()) == (1, 1), told
        if answer.status_code == 302:
            assert answer["Location"] == "/me/", told
            assert meaning(genuine.at) == said, told
            Session.objects.all().delete()
        else:
            assert not Session.objects.exists(), told
        if ConsumedAssertion.objects.count() != used or now() - genuine.at > FRESH:
            genuine, used = mint(scene, style), ConsumedAssertion.objects.count()
    if not only:
        # The dice reach every door, and what changes no meaning goes through.
        assert {302, 400, 403} <= set(ends), ends
        assert LoginAttempt.objects.values("reason").distinct().count() > 5
    print(f"\n{style}: {dict(ends)}")  # noqa: T201 - what a nightly run is read for
