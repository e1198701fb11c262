"""What has to be true of the libraries before a signature may be believed. Knows no message."""

import xmlsec
from django.core.exceptions import ImproperlyConfigured
from lxml import etree


def require_one_libxml2() -> None:
    """Raises ImproperlyConfigured unless both libraries carry one libxml2.

    xmlsec works on lxml's own trees: with another libxml2 inside, the two would read one memory in two layouts.
    """
    theirs, ours = xmlsec.get_libxml_version(), etree.LIBXML_VERSION
    if theirs != ours:
        raise ImproperlyConfigured(
            f"xmlsec carries libxml2 {theirs}, lxml carries {ours}: install the versions that requirements.txt pins."
        )
