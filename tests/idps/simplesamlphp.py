"""SimpleSAMLphp, an IdP that shares no code with the hub. Knows how to start it and what to tell it; knows no hub."""

import json
import os
import shutil
import signal
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode
from urllib.request import urlopen

from identity_hub.local import keys, places

_WWW = Path("/usr/share/simplesamlphp/www")
_PHP = Path(__file__).parent / "php"

_NOBODY = '<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata"/>'

PACKAGES = "simplesamlphp php-cli php-xml php-mbstring php-sqlite3 php-curl"
PASSWORD = "open sesame"

_BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-"
_BINDINGS = {"redirect": f"{_BINDING}Redirect", "post": f"{_BINDING}POST"}
_NAME_IDS = {
    "email": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "persistent": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    "transient": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
    "unspecified": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
}
_NAME_ID_ATTRIBUTES = {"email": "mail", "persistent": "employeeNumber", "unspecified": "uid"}
_NAME_STYLES = {"basic": "basic", "oid": "uri", "claims": "uri"}
_NAME_MAPS = {"oid": "name2oid", "claims": "name2claim"}


def missing() -> str:
    """What has to be installed before it can start here; "" where nothing is missing."""
    if _WWW.is_dir() and shutil.which("php"):
        return ""
    return f"No SimpleSAMLphp here: apt-get install --no-install-recommends {PACKAGES}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody in this IdP's directory. `number` never changes."""

    uid: str
    mail: str
    given_name: str
    family_name: str
    number: str

    def attributes(self) -> dict[str, list[str]]:
        return {
            "uid": [self.uid],
            "mail": [self.mail],
            "givenName": [self.given_name],
            "sn": [self.family_name],
            "displayName": [f"{self.given_name} {self.family_name}"],
            "employeeNumber": [self.number],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How this IdP speaks. `key` signs; `also_published` stands beside it in the metadata."""

    signs: Literal["assertion", "response", "both"] = "both"
    encrypts: str = ""
    """The algorithm for the assertion's content, "" for none."""
    encrypts_name_id: bool = False
    name_id: Literal["email", "persistent", "transient", "unspecified"] = "persistent"
    names: Literal["basic", "oid", "claims"] = "basic"
    takes: tuple[Literal["redirect", "post"], ...] = ("redirect", "post")
    key: str = "first"
    also_published: str = ""
    clock: int = 0
    """By how many seconds its clock is ahead."""


@dataclass(slots=True, kw_only=True)
class SimpleSamlPhp:
    """One that runs at `url`. What is said to it holds from its next request on."""

    url: str
    reached_at: str
    folder: Path
    trusts: ssl.SSLContext
    habits: Habits = field(default_factory=Habits)
    people: dict[str, Person] = field(default_factory=dict)

    @property
    def metadata_url(self) -> str:
        """Also its entity ID."""
        return f"{self.url}/saml2/idp/metadata.php"

    def sign_out_url(self, away: str) -> str:
        """Where a person ends her session here and at every service that she used, and goes `away`."""
        return f"{self.url}/saml2/idp/initSLO.php?{urlencode({'RelayState': away})}"

    def start_url(self, service_provider: str, relay_state: str) -> str:
        """Where a login begins that nobody asked for."""
        asked = {"spentityid": service_provider, "RelayState": relay_state}
        return f"{self.url}/saml2/idp/SSOService.php?{urlencode(asked)}"

    def behave(self, **habits: Any) -> None:
        """These habits, and the usual ones for everything that is not named."""
        self.habits = Habits(**habits)
        self._write()

    def change(self, **habits: Any) -> None:
        """These habits, and what it has been doing for everything that is not named."""
        self.habits = replace(self.habits, **habits)
        self._write()

    def enrol(self, person: Person) -> None:
        self.people[person.uid] = person
        self._write()

    def meet(self, service_provider: str) -> None:
        """Gets to know one by its metadata (XML), and forgets the others."""
        (self.folder / "sp.xml").write_text(service_provider)

    def forget(self) -> None:
        """Everybody and everything that it was told."""
        self.people.clear()
        self.meet(_NOBODY)
        self.behave()

    def metadata(self) -> str:
        address = self.metadata_url.replace(self.url, self.reached_at)
        with urlopen(address, context=self.trusts, timeout=30) as answer:  # noqa: S310 - our own address
            return str(answer.read().decode())

    def _write(self) -> None:
        said = {
            "clock": self.habits.clock,
            "config": self._config(),
            "entity_id": self.metadata_url,
            "idp": self._hosted(),
            "people": {f"{p.uid}:{PASSWORD}": p.attributes() for p in self.people.values()},
        }
        draft = self.folder / "settings.json.new"
        draft.write_text(json.dumps(said))
        # Whole or not at all: a request may be reading.
        draft.replace(self.folder / "settings.json")

    def _config(self) -> Mapping[str, Any]:
        here = f"{self.folder}/"
        return {
            "baseurlpath": f"{self.url}/",
            "certdir": here,
            "loggingdir": here,
            "datadir": here,
            "tempdir": here,
            "metadatadir": f"{_PHP / 'metadata'}/",
            "metadata.sources": [{"type": "flatfile"}, {"type": "xml", "file": f"{here}sp.xml"}],
            "enable.saml20-idp": True,
            "module.enable": {"exampleauth": True, "core": True, "saml": True},
            "secretsalt": "of the tests, and of nothing else",
            "auth.adminpassword": PASSWORD,
            "logging.handler": "file",
            "session.phpsession.savepath": here,
            "session.cookie.secure": True,
            # None: where a person goes after she has signed out is a page of the service.
            "trusted.url.domains": None,
        }

    def _hosted(self) -> Mapping[str, Any]:
        habits = self.habits
        name_id = {"class": "saml:TransientNameID"}
        if attribute := _NAME_ID_ATTRIBUTES.get(habits.name_id):
            name_id = {
                "class": "saml:AttributeNameID",
                "attribute": attribute,
                "Format": _NAME_IDS[habits.name_id],
            }
        steps: dict[str, Any] = {"3": name_id}
        if names := _NAME_MAPS.get(habits.names):
            steps["90"] = {"class": "core:AttributeMap", "0": names}
        hosted = {
            "host": "__DEFAULT__",
            "auth": "people",
            "privatekey": f"{habits.key}.key",
            "certificate": f"{habits.key}.crt",
            "SingleSignOnServiceBinding": [_BINDINGS[binding] for binding in habits.takes],
            "SingleLogoutServiceBinding": [_BINDINGS[binding] for binding in habits.takes],
            "NameIDFormat": _NAME_IDS[habits.name_id],
            "attributes.NameFormat": f"urn:oasis:names:tc:SAML:2.0:attrname-format:{_NAME_STYLES[habits.names]}",
            "saml20.sign.assertion": habits.signs != "response",
            "saml20.sign.response": habits.signs != "assertion",
            "assertion.encryption": bool(habits.encrypts),
            "nameid.encryption": habits.encrypts_name_id,
            "signature.algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            "sign.logout": True,
            "validate.logout": True,
            "redirect.sign": True,
            "redirect.validate": True,
            "validate.authnrequest": True,
            "authproc": steps,
        }
        if habits.encrypts:
            hosted["sharedkey_algorithm"] = habits.encrypts
        if habits.also_published:
            hosted["new_privatekey"] = f"{habits.also_published}.key"
            hosted["new_certificate"] = f"{habits.also_published}.crt"
        return hosted


@contextmanager
def running(
    folder: Path, *, port: int, url: str, reached_at: str, trusts: ssl.SSLContext
) -> Iterator[SimpleSamlPhp]:
    """PHP's own server on loopback, whose pages say that they are at `url`; ended afterwards.

    `reached_at` is the address that stands for `url` where no DNS knows its host.
    """
    for name in ("first", "second"):
        keys.saml_key(folder / f"{name}.key", folder / f"{name}.crt")
    idp = SimpleSamlPhp(url=url, reached_at=reached_at, folder=folder, trusts=trusts)
    idp.meet(_NOBODY)
    idp.behave()
    process = places.spawn(
        [
            "php",
            *("-d", f"auto_prepend_file={_PHP / 'clock.php'}"),
            *("-d", f"session.save_path={folder}"),
            # Its age shows in deprecation warnings, which would stand before the headers.
            *("-d", "error_reporting=0", "-d", "display_errors=0"),
            *("-S", f"127.0.0.1:{port}", "-t", str(_WWW)),
        ],
        stop_signal=signal.SIGTERM,
        log=folder / "php.log",
        cwd=folder,
        env={
            **os.environ,
            "SIMPLESAMLPHP_CONFIG_DIR": str(_PHP),
            "IDP_SETTINGS": str(folder / "settings.json"),
        },
    )
    try:
        assert places.wait_until(lambda: _answers(idp), seconds=30), (folder / "php.log").read_text()
        yield idp
    finally:
        places.stop(process, signal.SIGTERM)


def _answers(idp: SimpleSamlPhp) -> bool:
    try:
        return idp.metadata_url in idp.metadata()
    except OSError:
        return False
