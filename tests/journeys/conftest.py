"""A whole hub on free ports, a hub and an IdP on two sites, and a real browser. Knows how to get them; no journey."""

import secrets
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from psycopg import sql

from identity_hub.demo import stack
from identity_hub.demo.dialects import Entra, over_http
from identity_hub.demo.files import IDP_CONNECTION
from identity_hub.demo.stack import Stack
from identity_hub.settings import env
from tests.identity_hub.gunicorn import free_port, gunicorn
from tests.idps import simplesamlphp

from .chromium import CHROMIUM_ARGUMENTS, chromium
from .pair import Pair, Sites, introduced
from .sites import HUB_HOST, IDP_HOST, certificate, in_front


def _do_without(what: str) -> None:
    """A machine may lack it; CI may not, or its green would prove nothing."""
    (pytest.fail if env.get("CI") == "true" else pytest.skip)(what)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        _do_without("No Chromium on the path: install Debian's `chromium` to run the journeys.")
    with pytest.MonkeyPatch.context() as patched, sync_playwright() as playwright:
        # Playwright's loop stays the running one of this thread: Django would refuse every query from now on.
        patched.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        started = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser of one person's own: no cookie of anybody else."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, ignore_https_errors=True)
    context.set_default_timeout(15_000)
    expect.set_options(timeout=15_000)
    yield context.new_page()
    context.close()


@contextmanager
def _database_of_its_own() -> Iterator[dict[str, str]]:
    """On the server that the tests use; the stack starts one itself where they name none."""
    address = env.get("DATABASE_URL")
    if not address:
        yield {}
        return
    name = f"journey_{secrets.token_hex(4)}"
    with psycopg.connect(address, dbname="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        try:
            yield {"DATABASE_URL": urlsplit(address)._replace(path=f"/{name}").geturl()}
        finally:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            connection.execute(drop)


@pytest.fixture(scope="session")
def hub(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Web, worker, beat, the demo IdP, a database and a Redis of their own. Needs the browser, or is not started."""
    with _database_of_its_own() as named:
        # An empty REDIS_URL: the broker of the other tests would hand this worker their jobs.
        with stack.started(tmp_path_factory.mktemp("hub"), REDIS_URL="", **named) as running:
            yield running


@pytest.fixture
def entra(hub: Stack) -> Entra:
    return Entra(send=over_http(hub.hub.scim, hub.hub.tokens[IDP_CONNECTION], Entra.agent))


@pytest.fixture(scope="session")
def sites(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sites]:
    """A hub on the tests' database, and SimpleSAMLphp; each with TLS and on a site of its own."""
    if what := simplesamlphp.missing():
        _do_without(what)
    folder = tmp_path_factory.mktemp("sites")
    pem = certificate(folder / "tls.pem")
    with ExitStack() as stack:
        port, inner = free_port(), free_port()
        outer = stack.enter_context(in_front([inner], pem))
        idp = stack.enter_context(
            simplesamlphp.running(
                folder,
                port=inner,
                url=f"https://{IDP_HOST}:{outer}",
                reached_at=f"https://127.0.0.1:{outer}",
                trusts=ssl.create_default_context(cafile=pem),
            )
        )
        hub = f"https://{HUB_HOST}:{port}"
        with django_db_blocker.unblock():
            stack.enter_context(
                gunicorn(
                    folder / "gunicorn.log",
                    port=port,
                    tls=pem,
                    HUB_PUBLIC_URL=hub,
                    ALLOWED_HOSTS=f"{HUB_HOST},127.0.0.1",
                    # What one process learns the other must know.
                    WEB_WORKERS="2",
                )
            )
        yield Sites(hub=hub, idp=idp, pem=pem)


@pytest.fixture
def pair(sites: Sites, transactional_db: None) -> Iterator[Pair]:
    """A tenant whose connection and IdP know each other."""
    yield introduced(sites)
    sites.idp.forget()
