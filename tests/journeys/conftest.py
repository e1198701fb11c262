"""A whole hub on free ports, and a real browser. Knows how to get both; knows no journey."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from psycopg import sql

from identity_hub.demo import stack
from identity_hub.demo.dialects import Entra, over_http
from identity_hub.demo.files import IDP_CONNECTION
from identity_hub.demo.stack import Stack
from identity_hub.settings import env

_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def chromium() -> str | None:
    """The path of a Chromium that is installed here."""
    return next(filter(None, map(shutil.which, _CHROMIUMS)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        pytest.skip("No Chromium on the path: install Debian's `chromium` to run the journeys.")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser of one person's own: no cookie of anybody else."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(15_000)
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
