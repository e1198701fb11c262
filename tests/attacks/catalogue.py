"""All attacks and variants, for whoever posts the whole list or counts it. Knows none of them itself."""

from collections.abc import Iterator

from . import (
    test_algorithms,
    test_bombs,
    test_documents,
    test_encryption,
    test_forms,
    test_logouts,
    test_names,
    test_replays,
    test_signatures,
    test_statements,
    test_wrapping,
)
from .scene import Attack, Attacks

LOGOUTS = test_logouts.ATTACKS
CLASSES: dict[str, Attacks] = {
    "signatures": test_signatures.ATTACKS,
    "algorithms and references": test_algorithms.ATTACKS,
    "wrapping": test_wrapping.ATTACKS,
    "documents": test_documents.ATTACKS,
    "encryption": test_encryption.ATTACKS,
    "statements": test_statements.ATTACKS,
    "replays and tenants": test_replays.ATTACKS,
    "names and domains": test_names.ATTACKS,
    "forms": test_forms.ATTACKS,
    "bombs": test_bombs.ATTACKS,
}


def attacks() -> Iterator[Attack]:
    """Those on the ACS; the ones on the address for signing out have an oracle of their own."""
    for each in CLASSES.values():
        yield from each


def published() -> dict[str, list[str]]:
    """CVE number -> the attacks of its shape."""
    found: dict[str, list[str]] = {}
    for attack in (*attacks(), *LOGOUTS):
        for number in attack.cves:
            found.setdefault(number, []).append(attack.name)
    return found


PRODUCTS: dict[str, str] = {
    "CVE-2006-4339": "OpenSSL",
    "CVE-2009-0217": "the XML Signature standard",
    "CVE-2012-5353": "OpenAthens SP",
    "CVE-2015-20108": "ruby-saml",
    "CVE-2016-10127": "pysaml2",
    "CVE-2016-10149": "pysaml2",
    "CVE-2016-5697": "ruby-saml",
    "CVE-2017-1000061": "xmlsec1",
    "CVE-2017-1000452": "samlify",
    "CVE-2017-11427": "python-saml",
    "CVE-2017-11428": "ruby-saml",
    "CVE-2017-11429": "saml2-js",
    "CVE-2017-11430": "omniauth-saml",
    "CVE-2018-0486": "Shibboleth SP",
    "CVE-2018-0489": "Shibboleth SP",
    "CVE-2018-14637": "Keycloak",
    "CVE-2018-7644": "SimpleSAMLphp",
    "CVE-2019-10201": "Keycloak",
    "CVE-2019-3465": "xmlseclibs, SimpleSAMLphp",
    "CVE-2020-5390": "pysaml2",
    "CVE-2020-5407": "Spring Security SAML",
    "CVE-2021-21238": "pysaml2",
    "CVE-2021-21239": "pysaml2",
    "CVE-2021-39171": "passport-saml",
    "CVE-2022-21449": "Java",
    "CVE-2022-39299": "passport-saml, node-saml",
    "CVE-2022-39300": "node-saml",
    "CVE-2022-39353": "xmldom, under node-saml and xml-crypto",
    "CVE-2024-32962": "xml-crypto",
    "CVE-2024-45409": "ruby-saml",
    "CVE-2024-4985": "GitHub Enterprise Server",
    "CVE-2024-6800": "GitHub Enterprise Server",
    "CVE-2024-8698": "Keycloak",
    "CVE-2024-9487": "GitHub Enterprise Server",
    "CVE-2025-25291": "ruby-saml",
    "CVE-2025-25292": "ruby-saml",
    "CVE-2025-25293": "ruby-saml",
    "CVE-2025-29774": "xml-crypto",
    "CVE-2025-29775": "xml-crypto",
    "CVE-2025-47949": "samlify",
    "CVE-2025-54369": "node-saml",
    "CVE-2025-54419": "node-saml",
    "CVE-2025-54572": "ruby-saml",
    "CVE-2025-66567": "ruby-saml",
    "CVE-2025-66568": "ruby-saml",
    "CVE-2026-1190": "Keycloak",
    "CVE-2026-16443": "Keycloak",
    "CVE-2026-18967": "Keycloak",
    "CVE-2026-2092": "Keycloak",
    "CVE-2026-2575": "Keycloak",
    "CVE-2026-2603": "Keycloak",
    "CVE-2026-3009": "Keycloak",
}
"""Whose each published hole was. Each has a case of its shape, which names its number."""
