"""The hub's own pairs: read from two files that belong together, or it is said why not."""

from pathlib import Path

import pytest

from identity_hub.core import key_pairs
from tests.saml_sp.idp import key_pair

from .test_certificates import UNREADABLE, pem_of


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "sp.key"
    file.write_bytes(key_pair("corp").key)
    return file


def test_a_pair_is_read(key_file: Path, tmp_path: Path) -> None:
    certificate = tmp_path / "sp.crt"
    certificate.write_bytes(key_pair("corp").certificate)
    assert key_pairs.read(str(key_file), str(certificate)).not_valid_after_utc


# The subject is nobody's to read here.
@pytest.mark.parametrize("what", [what for what in UNREADABLE if "subject" not in what])
def test_a_pair_is_none_with(key_file: Path, tmp_path: Path, what: str) -> None:
    certificate = tmp_path / "sp.crt"
    certificate.write_text(pem_of(UNREADABLE[what]))
    with pytest.raises(key_pairs.Unusable, match="no PEM certificate"):
        key_pairs.read(str(key_file), str(certificate))
