"""What the demo keeps under `var/demo/`, readable by its owner only. Knows no protocol."""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from identity_hub.local import keys
from identity_hub.settings import HUB_PRODUCTION, HUB_VAR

FOLDER = HUB_VAR / "demo"
KEY_FILE = FOLDER / "idp.key"
CERT_FILE = FOLDER / "idp.crt"

DOMAIN = "demo.example"
PASSWORD = "demo"  # noqa: S105 - printed on the demo IdP's own page
ENGINEERING = "Engineering"

TENANT = "demo"
IDP_CONNECTION = "Demo IdP"
OKTA_CONNECTION = "Okta (demo)"


def refuse_production() -> None:
    """Ends a process that would bring demo passwords and demo keys near real people."""
    if HUB_PRODUCTION:
        raise SystemExit("The demo does not exist with production settings.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody in the demo IdP's own directory. `assigned` people are pushed by `setup_demo`."""

    object_id: str
    user_name: str
    given_name: str
    family_name: str
    title: str = ""
    department: str = ""
    assigned: bool = False

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"


def new_person(given_name: str, family_name: str, **facts: Any) -> Person:
    user_name = f"{given_name}.{family_name}@{DOMAIN}".lower()
    # The same person again where the folder is lost and the hub's database is not.
    object_id = str(uuid5(NAMESPACE_DNS, user_name))
    return Person(
        object_id=object_id, user_name=user_name, given_name=given_name, family_name=family_name, **facts
    )


def _first_people() -> list[Person]:
    return [
        new_person("Anna", "Archer", title="Engineer", department="Engineering", assigned=True),
        new_person("Ben", "Baker", title="Account manager", department="Sales", assigned=True),
        new_person("Carla", "Cook", title="Head of Engineering", department="Engineering", assigned=True),
        new_person("Nora", "Newcomer", title="Engineer", department="Engineering"),
    ]


class Directory:
    """The people whom the demo IdP knows, in one JSON file that several processes may change."""

    def __init__(self, path: Path = FOLDER / "people.json") -> None:
        self.path = path

    def people(self) -> list[Person]:
        with self._locked():
            return self._read()

    def find(self, object_id: str) -> Person | None:
        return next((person for person in self.people() if person.object_id == object_id), None)

    def add(self, person: Person) -> None:
        with self._locked():
            taken = [known for known in self._read() if known.user_name == person.user_name]
            if taken:
                raise ValueError(f"{person.user_name} is taken.")
            _write(self.path, [asdict(known) for known in (*self._read(), person)])

    def change(self, object_id: str, **facts: Any) -> None:
        with self._locked():
            people = [replace(p, **facts) if p.object_id == object_id else p for p in self._read()]
            _write(self.path, [asdict(person) for person in people])

    def remove(self, object_id: str) -> None:
        with self._locked():
            _write(self.path, [asdict(person) for person in self._read() if person.object_id != object_id])

    def _read(self) -> list[Person]:
        if not self.path.exists():
            _write(self.path, [asdict(person) for person in _first_people()])
        return [Person(**facts) for facts in json.loads(self.path.read_text())]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """Where the hub is, and what `setup_demo` got from it: ids and SCIM tokens by connection name."""

    url: str
    idp_url: str
    connections: dict[str, str]
    tokens: dict[str, str]
    administrator: str
    administrator_password: str

    @property
    def scim(self) -> str:
        return f"{self.url}/scim/v2"

    def has(self, entity_id: str) -> bool:
        """Whether an entity ID is one of this hub's connections, so that its metadata is at that address."""
        return bool(re.fullmatch(rf"{re.escape(self.url)}/saml/[0-9a-f-]{{36}}/metadata", entity_id))


def hub(folder: Path = FOLDER) -> Hub | None:
    """None before the first `setup_demo`."""
    path = folder / "hub.json"
    return Hub(**json.loads(path.read_text())) if path.exists() else None


def remember_hub(facts: Hub, folder: Path = FOLDER) -> None:
    _write(folder / "hub.json", asdict(facts))


def idp_key() -> tuple[Path, Path]:
    """The demo IdP's key and certificate, made at the first call."""
    keys.saml_key(KEY_FILE, CERT_FILE)
    return KEY_FILE, CERT_FILE


def _write(path: Path, content: Any) -> None:
    # Whole or not at all: the IdP may read while a command writes.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(content, indent=1))
    draft.replace(path)
