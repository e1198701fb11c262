"""The hub's own keys roll over, its processes restarted one after the other, while people sign in by SimpleSAMLphp."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from identity_hub.local import keys
from tests.identity_hub.gunicorn import gunicorn

from .pair import Pair, Sites, Visitor, asks_for_password, introduced
from .sites import HUB_HOST, in_front

pytestmark = [pytest.mark.journey, pytest.mark.slow]


@dataclass(slots=True, kw_only=True)
class Processes:
    """Those of one hub, each with keys of its own. They get their turns at every connection to `url`."""

    url: str
    pem: Path
    folder: Path
    ports: list[int] = field(default_factory=list)

    @contextmanager
    def one_more(self, signs: str, other: str = "") -> Iterator[None]:
        with gunicorn(
            self.folder / f"{signs}-{other}.log",
            tls=self.pem,
            HUB_PUBLIC_URL=self.url,
            ALLOWED_HOSTS=f"{HUB_HOST},127.0.0.1",
            SAML_SP_KEY_FILE=self._file(signs, "key"),
            SAML_SP_CERT_FILE=self._file(signs, "crt"),
            SAML_SP_OTHER_KEY_FILE=self._file(other, "key"),
            SAML_SP_OTHER_CERT_FILE=self._file(other, "crt"),
        ) as port:
            self.ports.append(port)
            try:
                yield
            finally:
                self.ports.remove(port)

    def _file(self, name: str, kind: str) -> str:
        if not name:
            return ""
        keys.saml_key(self.folder / f"{name}.key", self.folder / f"{name}.crt")
        return str(self.folder / f"{name}.{kind}")


@pytest.fixture
def processes(sites: Sites, tmp_path: Path) -> Iterator[Processes]:
    ports: list[int] = []
    with in_front(ports) as port:
        yield Processes(url=f"https://{HUB_HOST}:{port}", pem=sites.pem, folder=tmp_path, ports=ports)


def _visitor(pair: Pair) -> Visitor:
    visitor = Visitor(pair=pair)
    # The next process gets the next request.
    visitor.session.headers["Connection"] = "close"
    return visitor


def test_our_own_keys_roll_over_while_people_sign_in(
    sites: Sites, processes: Processes, transactional_db: None
) -> None:
    """docs/operations.md says the steps. This IdP encrypts, and checks the signature of every request."""
    with ExitStack() as running:
        older = running.enter_context(ExitStack())
        older.enter_context(processes.one_more("old"))
        pair = introduced(Sites(hub=processes.url, idp=sites.idp, pem=sites.pem))
        running.callback(pair.idp.forget)
        pair.idp.behave(encrypts="http://www.w3.org/2009/xmlenc11#aes256-gcm")
        ada, home = pair.hire("Ada"), f"{processes.url}/me/"
        assert _visitor(pair).sign_in(ada).url == home

        for signs, other in (("old", "new"), ("new", "old"), ("new", "")):
            step = f"{signs} signs, beside it {other or 'none'}"
            patient = _visitor(pair)
            begun_before = patient.open(pair.start())
            newer = running.enter_context(ExitStack())
            newer.enter_context(processes.one_more(signs, other))
            for _ in range(2):
                assert _visitor(pair).sign_in(ada).url == home, f"{step}: the older process still runs"
            older.close()
            older = newer
            assert patient.give_password(begun_before, ada).url == home, f"{step}: begun before"
            assert _visitor(pair).sign_in(ada).url == home, f"{step}: the IdP has not heard of it"
            pair.idp.meet(pair.metadata())
            visitor = _visitor(pair)
            assert visitor.sign_in(ada).url == home, f"{step}: the IdP has read our metadata"

        visitor.sign_out()
        assert asks_for_password(visitor.open(pair.start())), "the IdP believed the new key"
