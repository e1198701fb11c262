"""`manage.py reseal_credentials`: seals what is stored by the first of CREDENTIAL_KEYS, so that the others can go."""

from collections.abc import Iterator
from typing import Any

from provisioning.management.base import HubCommand
from provisioning.services.sealed import reseal_everything


class Command(HubCommand):
    help = (
        "Seals every stored credential by the first of CREDENTIAL_KEYS. May run at any time, and twice. Exit code 3: "
        "some are opened by none of the keys: enter the credential again, or make another encryption key."
    )

    def answer(self, **options: Any) -> dict[str, Any]:
        done, closed = reseal_everything()
        return {"sealed": done, "unopenable": [str(pk) for pk in closed]}

    def exit_code(self, answer: dict[str, Any]) -> int:
        return 3 if answer["unopenable"] else 0

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield f"Sealed by the first key: {answer['sealed']}."
        if answer["unopenable"]:
            yield f"Opened by no key, to be entered again: {', '.join(answer['unopenable'])}."
