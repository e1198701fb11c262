"""Secrets at rest: who can open them, and how the key changes."""

from typing import Any

import pytest

from identity_hub.core.sealing import Unopenable, reseal, seal, unseal

OLD, NEW = "o" * 32, "n" * 32


def test_a_secret_comes_back_and_cannot_be_read_meanwhile(settings: Any) -> None:
    settings.CREDENTIAL_KEYS = [NEW]
    sealed = seal("tëst-secret", for_row="one")
    assert unseal(sealed, for_row="one") == "tëst-secret"
    assert "secret" not in sealed
    assert seal("tëst-secret", for_row="one") != sealed


@pytest.mark.parametrize(
    ("keys", "row"),
    [
        pytest.param([NEW], "another", id="copied into another row, it stays closed"),
        pytest.param([OLD], "one", id="a key that did not seal it does not open it"),
    ],
)
def test_what_was_sealed_for_one_row_opens_there_only(settings: Any, keys: list[str], row: str) -> None:
    settings.CREDENTIAL_KEYS = [NEW]
    sealed = seal("secret", for_row="one")
    settings.CREDENTIAL_KEYS = keys
    with pytest.raises(Unopenable):
        unseal(sealed, for_row=row)


@pytest.mark.parametrize("broken", ["", "plain text", "gAAAAA", "\u00fc"])
def test_what_is_no_sealed_secret_is_not_opened(broken: str) -> None:
    with pytest.raises(Unopenable):
        unseal(broken, for_row="one")


def test_a_key_is_changed_without_losing_what_the_old_one_sealed(settings: Any) -> None:
    settings.CREDENTIAL_KEYS = [OLD]
    sealed = seal("secret", for_row="one")
    settings.CREDENTIAL_KEYS = [NEW, OLD]
    assert unseal(sealed, for_row="one") == "secret"
    anew = reseal(sealed, for_row="one")
    settings.CREDENTIAL_KEYS = [NEW]
    assert unseal(anew, for_row="one") == "secret"
