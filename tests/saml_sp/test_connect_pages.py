"""docs/connect/ says for each product which fields go where, on either side, and shows what its test login shows."""

import re

import pytest

from identity_hub.settings import BASE_DIR
from provisioning.presets import PRESETS

from .products import SENT, WITHOUT_PRESET

PAGES = BASE_DIR / "docs" / "connect"
PRODUCTS = sorted(path.stem for path in PAGES.glob("*.md") if path.stem != "README")
PUSHES_NOBODY = {"adfs", "google", "keycloak", "shibboleth", "simplesamlphp"}
README = (PAGES / "README.md").read_text()
ROWS = {
    row[1].strip("`"): row
    for line in README.partition("### The connection's own fields")[2].partition("\n### ")[0].splitlines()
    if len(row := [cell.strip() for cell in line.strip("|").split(" | ")]) == 5
}
"""Of the table of the hub's own fields, by *Product*."""


def test_every_product_has_a_page_and_every_page_its_product() -> None:
    assert sorted(SENT | WITHOUT_PRESET) == PRODUCTS
    assert all(f"]({product}.md)" in README for product in PRODUCTS)


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_page_names_the_fields_of_the_products_side(product: str) -> None:
    page = (PAGES / f"{product}.md").read_text()
    for address in ("metadata", "login"):
        assert f"https://hub.example/saml/{{connection}}/{address}" in page
    # Shibboleth reads the other addresses from the metadata, and has no field for them.
    assert product == "shibboleth" or "https://hub.example/saml/{connection}/acs" in page
    assert "## Test login" in page
    if product in PUSHES_NOBODY:
        assert "README.md#where-nothing-is-pushed" in page
    else:
        assert "`https://hub.example/scim/v2`" in page
        assert "`create_scim_token`" in page
        assert "`externalId`" in page


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_page_shows_its_own_test_login(product: str) -> None:
    pictures = re.findall(r'<img src="(.+?)" alt="(.+?)"', (PAGES / f"{product}.md").read_text())
    assert [source for source, _ in pictures] == [f"../images/connect/{product}.png"]
    assert (PAGES / pictures[0][0]).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("product", PRESETS)
def test_the_fields_of_the_hubs_side_are_those_that_the_hub_would_propose(product: str) -> None:
    _, code, _, user_name, external_id = ROWS[product]
    preset = PRESETS[product]
    assert code == f"`{product}`"
    for cell, known in ((user_name, preset.user_names), (external_id, preset.keys)):
        named = re.findall(r"`(.+?)`", cell)
        assert set(named) <= set(known)
        assert named or cell.startswith("empty")
        assert ("by itself" in cell) is preset.settled
