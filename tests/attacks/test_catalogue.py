"""docs/saml.md says how many attacks there are, and which published hole each is the shape of. This keeps it true."""

from collections import Counter

import pytest

from identity_hub.settings import BASE_DIR

from .catalogue import CLASSES, LOGOUTS, PRODUCTS, attacks, published
from .test_variants import VARIANTS

DOCUMENT = (BASE_DIR / "docs" / "saml.md").read_text()


def test_every_attack_is_named_once() -> None:
    for rows in (*CLASSES.values(), LOGOUTS, VARIANTS):
        names = Counter(str(row) for row in rows)
        assert not [name for name, count in names.items() if count > 1]


def test_the_document_counts_them() -> None:
    total = len(list(attacks())) + len(LOGOUTS)
    for text in (DOCUMENT, (BASE_DIR / "README.md").read_text()):
        assert f"{total} attack messages" in text
        assert f"{len(VARIANTS)} legitimate variants" in text
    for name, rows in {**CLASSES, "logouts": LOGOUTS}.items():
        assert f"| {name} | {len(rows)} |" in DOCUMENT


def test_every_number_has_its_product() -> None:
    assert set(published()) == set(PRODUCTS)


@pytest.mark.parametrize("number", PRODUCTS)
def test_the_document_names(number: str) -> None:
    assert f"| {number} | {PRODUCTS[number]} | {'; '.join(published()[number])} |" in DOCUMENT
