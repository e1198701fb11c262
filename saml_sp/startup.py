"""What has to be true of the libraries before a signature may be believed. Knows no message."""

from typing import Any

import xmlsec
from django.core.checks import CheckMessage, Error, register
from lxml import etree


@register("security")
def one_libxml2(**_: Any) -> list[CheckMessage]:
    """xmlsec works on lxml's own trees: with another libxml2 inside, both read memory in two layouts."""
    theirs, ours = xmlsec.get_libxml_version(), etree.LIBXML_VERSION
    if theirs == ours:
        return []
    return [
        Error(
            f"xmlsec carries libxml2 {theirs}, lxml carries {ours}.",
            hint="Install the pair of versions that requirements.txt pins.",
            id="saml_sp.E001",
        )
    ]
