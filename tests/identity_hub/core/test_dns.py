"""What the hub hears when it asks a real server for the texts at a name."""

from collections.abc import Iterator

import pytest

from identity_hub.core import dns
from identity_hub.core.dns import Answer, Outcome
from tests.names import Zone, serving

NAME = "_identity-hub.corp.example"


@pytest.fixture
def zone(settings) -> Iterator[Zone]:
    with serving() as zone:
        settings.HUB_DNS_SERVERS = [zone.address]
        yield zone


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        pytest.param(['"a=b"'], ("a=b",), id="one text"),
        pytest.param(['"a"', '"b"'], ("a", "b"), id="several texts"),
        pytest.param(['"a" "b"'], ("ab",), id="one text in two strings is read without a blank between"),
        pytest.param([f'"{"x" * 250}" "{"y" * 250}" "z"'], ("x" * 250 + "y" * 250 + "z",), id="one by TCP"),
        pytest.param([r'"\255"'], ("\ufffd",), id="octets that are no text are marked"),
    ],
)
def test_texts(zone: Zone, written: list[str], heard: tuple[str, ...]) -> None:
    zone.texts[NAME] = written
    answer = dns.texts_at(NAME)
    assert (answer.outcome, set(answer.texts)) == (Outcome.TEXTS, set(heard))


def test_an_alias_is_followed(zone: Zone) -> None:
    zone.aliases[NAME] = "elsewhere.example"
    zone.texts["elsewhere.example"] = ['"a"']
    assert dns.texts_at(NAME).texts == ("a",)


def test_a_zone_that_never_ends_is_read_to_a_limit(zone: Zone) -> None:
    zone.texts[NAME] = [f'"{number}"' for number in range(200)]
    assert len(dns.texts_at(NAME).texts) == 50


def test_a_name_that_does_not_exist(zone: Zone) -> None:
    assert dns.texts_at(NAME) == Answer(outcome=Outcome.NO_NAME)
    assert dns.texts_at(NAME).definite


def test_a_name_without_a_text(zone: Zone) -> None:
    zone.texts[NAME] = []
    assert dns.texts_at(NAME) == Answer(outcome=Outcome.NO_TEXT)


def test_a_server_that_cannot_say_tells_nothing_about_the_name(zone: Zone) -> None:
    zone.fails = True
    answer = dns.texts_at(NAME)
    assert (answer.outcome, answer.definite) == (Outcome.FAILED, False)


def test_a_server_that_is_silent_is_given_up(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "SECONDS", 0.3)
    zone.silent = True
    answer = dns.texts_at(NAME)
    assert (answer.outcome, answer.definite) == (Outcome.SILENT, False)
    assert set(zone.asked) == {NAME}  # no search domain was tried


def test_an_answer_is_not_kept(zone: Zone) -> None:
    """Whoever presses the button again has just mended the record."""
    assert dns.texts_at(NAME).outcome == Outcome.NO_NAME
    zone.texts[NAME] = ['"a"']
    assert dns.texts_at(NAME).texts == ("a",)
