"""How often a password may be tried: by an address, by everybody for one name, by a browser that is known."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.contrib.auth.hashers import MD5PasswordHasher
from django.test import Client
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from identity_hub.core import allowance
from identity_hub.core.cache import ForgivingRedisCache
from provisioning.admin import guesses
from provisioning.models import AuditRecord, Session
from provisioning.services import configuration

from ..cast import OPERATOR, House
from .scene import PASSWORD

LOGIN = "/admin/login/"
NAME = "mia.moss"
HASHED: list[str] = []


class Counting(MD5PasswordHasher):
    """Tells how often a password was hashed, which is what a guess costs."""

    def encode(self, password: str, salt: str) -> str:
        HASHED.append(salt)
        return super().encode(password, salt)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """A quarter of an hour that does not end by itself."""
    with time_machine.travel("2026-11-30T10:01:00Z", tick=False) as travelled:
        yield travelled


@pytest.fixture(autouse=True)
def administrator(acme: House, settings: Any) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.Counting"]
    configuration.create_local_identity(
        login_name=NAME,
        password=PASSWORD,
        tenant=acme.tenant,
        tenant_administrator=True,
        actor=OPERATOR,
        reason="As agreed",
    )
    HASHED.clear()


def attempt(
    password: str = "wrong", *, name: str = NAME, address: str = "192.0.2.1", client: Client | None = None
) -> Any:
    return (client or Client()).post(LOGIN, {"username": name, "password": password}, REMOTE_ADDR=address)


def statuses(tries: int, **fields: Any) -> list[int]:
    return [attempt(**fields).status_code for _ in range(tries)]


def spend_the_name() -> None:
    """As many addresses as it takes, none of which reaches its own limit."""
    for number in range(guesses.OF_NAME):
        attempt(address=f"198.51.100.{number // 5}")


def test_an_address_has_so_many_tries_whatever_names_it_types() -> None:
    answers = [attempt(name=f"name-{number}").status_code for number in range(guesses.OF_ADDRESS + 3)]
    assert answers == [200] * guesses.OF_ADDRESS + [429] * 3
    assert attempt(PASSWORD).status_code == 429  # the right one is not read any more
    assert attempt(address="192.0.2.2").status_code == 200


def test_a_name_has_so_many_tries_from_wherever_they_come() -> None:
    spend_the_name()
    assert attempt(PASSWORD, address="203.0.113.1").status_code == 429
    assert attempt(name="somebody.else", address="203.0.113.1").status_code == 200


def test_one_address_alone_cannot_use_up_a_name() -> None:
    assert statuses(50).count(200) == guesses.OF_ADDRESS < guesses.OF_NAME
    assert attempt(PASSWORD, address="203.0.113.1").status_code == 302


def test_an_ipv6_customer_is_one_address() -> None:
    answers = [
        attempt(address=f"2001:db8::{number:x}").status_code for number in range(guesses.OF_ADDRESS + 1)
    ]
    assert answers[-1] == 429


def test_a_known_browser_is_not_shut_out_by_others() -> None:
    browser = Client()
    assert attempt(PASSWORD, client=browser).status_code == 302
    del browser.cookies["hub_session"]
    spend_the_name()
    statuses(30)
    assert attempt(client=browser).status_code == 200
    assert attempt(PASSWORD, client=browser).status_code == 302


def test_a_known_browser_has_its_own_limit() -> None:
    browser = Client()
    attempt(PASSWORD, client=browser)
    del browser.cookies["hub_session"]
    assert statuses(guesses.OF_BROWSER + 1, client=browser) == [200] * guesses.OF_BROWSER + [429]
    assert attempt(PASSWORD, address="192.0.2.1").status_code == 302  # and took nobody else's


@pytest.mark.parametrize(
    "mark",
    [
        pytest.param("own", id="the mark of another name"),
        pytest.param("forged", id="a mark that nobody signed"),
        pytest.param("", id="an empty mark"),
        pytest.param("old", id="a mark that is too old"),
    ],
)
def test_a_mark_counts_for_its_name_and_its_time(
    mark: str, clock: time_machine.Traveller, acme: House
) -> None:
    browser = Client()
    if mark in ("own", "old"):
        name = NAME if mark == "old" else "eve.evil"
        if mark == "own":
            configuration.create_local_identity(
                login_name=name,
                password=PASSWORD,
                tenant=acme.tenant,
                tenant_administrator=True,
                actor=OPERATOR,
                reason="As agreed",
            )
        attempt(PASSWORD, name=name, client=browser, address="203.0.113.9")
        del browser.cookies["hub_session"]
        browser.cookies[guesses.COOKIE]["max-age"] = ""
    else:
        browser.cookies[guesses.COOKIE] = mark
    if mark == "old":
        clock.shift(181 * 24 * 3600)
    spend_the_name()
    assert attempt(PASSWORD, client=browser, address="203.0.113.9").status_code == 429


def test_nobody_waits_longer_than_the_window(clock: time_machine.Traveller) -> None:
    spend_the_name()
    answer = attempt(PASSWORD)
    assert answer.status_code == 429
    assert answer["Retry-After"] == str(14 * 60)
    clock.shift(14 * 60)
    assert attempt(PASSWORD).status_code == 302


def test_the_page_is_calm_and_says_what_to_do() -> None:
    statuses(guesses.OF_ADDRESS)
    answer = Client().post(
        f"{LOGIN}?next=/admin/", {"username": NAME, "password": "wrong"}, REMOTE_ADDR="192.0.2.1"
    )
    text = answer.content.decode()
    assert "try again in 14 minutes" in text
    assert "/login/?next=/admin/" in text
    assert NAME not in text
    assert "no-store" in answer["Cache-Control"]
    assert not Session.objects.exists()


def test_a_name_that_nobody_has_reads_the_same() -> None:
    def page(name: str, network: str) -> str:
        for number in range(guesses.OF_NAME):
            attempt(name=name, address=f"{network}.{number // 5}")
        answer = attempt(name=name, address=f"{network}.99")
        assert answer.status_code == 429
        return str(answer.content.decode())

    assert page(NAME, "198.51.100") == page("nobody", "203.0.113")


def test_nothing_is_hashed_for_a_try_that_is_refused() -> None:
    statuses(guesses.OF_ADDRESS)
    assert len(HASHED) == guesses.OF_ADDRESS
    statuses(5)
    assert len(HASHED) == guesses.OF_ADDRESS


def test_looking_at_the_page_takes_no_try() -> None:
    for _ in range(50):
        assert Client().get(LOGIN, REMOTE_ADDR="192.0.2.1").status_code == 200
    assert attempt(PASSWORD).status_code == 302


def test_a_refusal_is_logged_and_counted_without_the_name() -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("hub_admin_sign_ins_refused_total", {"limit": "address"}) or 0

    before = counted()
    with capture_logs() as logs:
        statuses(guesses.OF_ADDRESS + 2)
    events = [line["event"] for line in logs]
    assert events.count("admin-sign-in:failed") == guesses.OF_ADDRESS
    assert events.count("admin-sign-in:too-many") == 2
    refusal = next(line for line in logs if line["event"] == "admin-sign-in:too-many")
    assert refusal == {
        "event": "admin-sign-in:too-many",
        "log_level": "warning",
        "limit": "address",
        "network": "192.0.2.0",
        "seconds": 14 * 60,
    }
    assert NAME not in str(logs)
    assert counted() - before == 2


def test_it_holds_without_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    # Put back afterwards: the pause is one for all of the process.
    monkeypatch.setattr(ForgivingRedisCache, "paused_until", 0.0)
    monkeypatch.setattr(allowance, "cache", ForgivingRedisCache("redis://127.0.0.1:1/0", {}))
    assert statuses(guesses.OF_ADDRESS + 1) == [200] * guesses.OF_ADDRESS + [429]


def test_who_is_signed_in_and_tries_another_name_has_not_signed_in(acme: House) -> None:
    browser = Client()
    attempt(PASSWORD, client=browser)
    answer = attempt(name="root", client=browser)
    assert answer.status_code == 200
    assert guesses.COOKIE not in answer.cookies
    assert AuditRecord.objects.filter(reason="identity:local-signed-in").count() == 1


def test_the_mark_is_for_the_sign_in_page_only() -> None:
    cookie = attempt(PASSWORD).cookies[guesses.COOKIE]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (LOGIN, True, "Lax")
    assert NAME not in cookie.value
