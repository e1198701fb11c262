"""Takes the pictures of docs/connect/: a test login of each product. `python -m tests.journeys.connect_pictures`.

With names behind it (`jumpcloud`) it takes those of these products only.

Nobody has all these products at hand: a small identity provider sends what each of them documents
(`tests/saml_sp/products.py`), signed, through a real browser. Asserts nothing.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from identity_hub.core.clock import now
from identity_hub.demo import stack
from identity_hub.demo.stack import Stack
from identity_hub.settings import BASE_DIR
from tests.journeys.chromium import CHROMIUM_ARGUMENTS, chromium
from tests.saml_sp.idp import TestIdp, encode, key_pair, read_request
from tests.saml_sp.products import SENT, WITHOUT_PRESET, Sent

FOLDER = BASE_DIR / "docs" / "images" / "connect"
PRODUCTS = SENT | WITHOUT_PRESET
DESK: ViewportSize = {"width": 1300, "height": 820}


def _answer(idp: TestIdp, sent: Sent, request: str) -> str:
    """A page that posts the product's answer to an AuthnRequest, as every product's page does."""
    asked = read_request(request)
    facts = idp.facts(
        asked,
        now(),
        name_id=sent.name_id[1],
        name_id_format=sent.name_id[0],
        attributes={name: [value] for name, _, value in sent.attributes},
        attribute_format=sent.attribute_format or "urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified",
        session_index=sent.session_index,
    )
    return (
        f'<form method="post" action="{escape(asked.acs)}">'
        f'<input type="hidden" name="SAMLResponse" value="{encode(idp.signed_assertion(facts))}">'
        "<button>Continue</button></form>"
    )


@contextmanager
def _products() -> Iterator[dict[str, TestIdp]]:
    """Every product, answering at an address of its own on this machine."""
    idps: dict[str, TestIdp] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code = self.path.split("/")[1]
            if code not in idps:
                self.send_error(404)
                return
            page = _answer(idps[code], PRODUCTS[code], self.path).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    base = f"http://localhost:{server.server_port}"
    idps |= {
        code: TestIdp(
            entity_id=sent.issuer, keys=key_pair(code), sso=f"{base}/{code}/sso", slo=f"{base}/{code}/slo"
        )
        for code, sent in PRODUCTS.items()
    }
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield idps
    finally:
        server.shutdown()


def _enter(page: Page, hub: Stack) -> None:
    page.goto(f"{hub.hub.url}/admin/")
    page.locator("input[name=username]").fill(hub.hub.administrator)
    page.locator("input[name=password]").fill(hub.hub.administrator_password)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(f"{hub.hub.url}/admin/")


def _take(page: Page, hub: Stack, folder: Path, code: str, idp: TestIdp) -> None:
    metadata = folder / f"{code}.xml"
    metadata.write_text(idp.metadata())
    made = hub.manage(
        "create_connection",
        *(
            "--tenant",
            "demo",
            "--name",
            PRODUCTS[code].product,
            "--jit",
            "create",
            "--domain",
            "corp.example",
        ),
        *("--idp-metadata", str(metadata)),
        *("--reason", "A picture."),
    )
    test = f"{hub.hub.url}/admin/provisioning/connection/{made['id']}/test-login/"
    _try(page, test)
    if code in SENT:
        # The first one tells which product it is; the second is judged by what the hub proposes for it.
        page.get_by_role("link", name="Look at them").click()
        page.get_by_role("button", name="Take it over").click()
        _try(page, test)
    page.screenshot(path=FOLDER / f"{code}.png")


def _try(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="Go to the identity provider").click()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_load_state("networkidle")


def main() -> int:
    program = chromium()
    if program is None:
        sys.exit("No Chromium on the path.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="hub-pictures-") as name, sync_playwright() as playwright:
        folder = Path(name)
        with stack.started(folder / "var") as hub, _products() as idps:
            browser: Browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGUMENTS)
            page = browser.new_context(viewport=DESK).new_page()
            _enter(page, hub)
            for code in sys.argv[1:] or idps:
                _take(page, hub, folder, code, idps[code])
            browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
