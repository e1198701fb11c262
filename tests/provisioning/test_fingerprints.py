"""What a person looks like to a join, and that every write of an account keeps it."""

from dataclasses import replace
from typing import Any

import pytest

from provisioning.decision.authority import profile_of_resource
from provisioning.decision.types import Intent, Profile
from provisioning.fingerprints import FIELDS, WIDTH, differing, fingerprint
from provisioning.models import Account
from provisioning.services import submit
from provisioning.services.fingerprints import fill_fingerprints

from .cast import House, push, pushed, sign_in, user

ADA = Profile(
    user_name="ada@acme.example",
    email="ada@acme.example",
    given_name="Ada",
    family_name="Example",
    display_name="Ada Example",
    locale="en-GB",
    time_zone="Europe/London",
    hr_number="7",
    department="Sales",
    title="Engineer",
)


def of(profile: Profile = ADA, **more: Any) -> bytes:
    facts = {"external_id": "e1", "user_name": "ada@acme.example", "active": True} | more
    return fingerprint(profile=profile, **facts)


@pytest.mark.parametrize(
    ("other", "fields"),
    [
        pytest.param(of(), [], id="the same person is the same"),
        pytest.param(of(external_id="e2"), ["external_id"], id="another key"),
        pytest.param(of(external_id=None), ["external_id"], id="no key is not the same as a key"),
        pytest.param(of(user_name="Ada@acme.example"), ["user_name"], id="the spelling of a name counts"),
        pytest.param(of(active=False), ["active"], id="inactive"),
        *[
            pytest.param(of(replace(ADA, **{name: value})), [name], id=f"{name}: {value or 'nothing'}")
            for name in FIELDS[3:]
            for value in ("another", "")
        ],
        pytest.param(
            of(replace(ADA, title="", department="Support")), ["department", "title"], id="two fields"
        ),
        pytest.param(
            of(replace(ADA, given_name="Example", family_name="Ada")),
            ["given_name", "family_name"],
            id="the same values in other places",
        ),
    ],
)
def test_a_fingerprint_tells_which_fields_differ(other: bytes, fields: list[str]) -> None:
    assert len(other) == len(FIELDS) * WIDTH
    assert differing(of(), other) == fields
    assert differing(of(), other, {"external_id"}) == [name for name in fields if name == "external_id"]


def test_the_order_of_fields_is_fixed_because_fingerprints_are_stored() -> None:
    assert FIELDS == (
        "external_id",
        "user_name",
        "active",
        "email",
        "given_name",
        "family_name",
        "display_name",
        "locale",
        "time_zone",
        "hr_number",
        "department",
        "title",
    )


def test_a_fingerprint_is_the_same_tomorrow() -> None:
    assert of()[:8].hex() == "1b5d5e51f54f0f04"


def as_written(account: Account) -> bytes:
    return fingerprint(
        external_id=account.external_id,
        user_name=account.user_name,
        active=account.active,
        profile=profile_of_resource(account.resource),
    )


def stored(account_id: Any) -> tuple[Account, bytes]:
    account = Account.objects.get(pk=account_id)
    assert account.fingerprint is not None
    return account, bytes(account.fingerprint)


@pytest.mark.django_db
def test_every_write_of_an_account_keeps_its_fingerprint(acme: House) -> None:
    pushed_one = push(acme, user("ada@acme.example", "e1"))
    account, first = stored(pushed_one.account_id)
    assert first == as_written(account)

    submit(pushed(acme, Intent.UPDATE, user("ada.l@acme.example", "e1"), account_id=account.pk))
    account, renamed = stored(account.pk)
    assert renamed == as_written(account)
    assert differing(first, renamed) == ["user_name", "email"]

    off = user("ada.l@acme.example", "e1", active=False)
    submit(pushed(acme, Intent.DISABLE, off, account_id=account.pk))
    account, disabled = stored(account.pk)
    assert disabled == as_written(account)
    assert differing(renamed, disabled) == ["active"]

    account, first_login = stored(sign_in(acme, "eve").account_id)
    assert first_login == as_written(account)


@pytest.mark.django_db
def test_accounts_from_before_are_filled_in_batches_and_only_once(
    acme: House, globex: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.services.fingerprints.BATCH", 3)
    for number in range(8):
        push(acme, user(f"p{number}@acme.example", f"e{number}"))
    push(globex, user("eve@globex.example"))
    before = {account.pk: bytes(account.fingerprint) for account in Account.objects.all()}
    Account.objects.update(fingerprint=None)

    assert fill_fingerprints(acme.connection) == 8
    assert fill_fingerprints(acme.connection) == 0
    after = {account.pk: account.fingerprint for account in Account.objects.all()}
    ours = Account.objects.filter(connection=acme.connection).values_list("pk", flat=True)
    assert {key: bytes(after[key]) for key in ours} == {key: before[key] for key in ours}
    assert [value for key, value in after.items() if key not in set(ours)] == [None]
