"""Which identity provider a SAML metadata document describes. Knows no connection and fetches nothing."""

from lxml import etree

MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"


class Unusable(ValueError):
    """The document describes no identity provider; `str()` is a sentence for whoever gave it."""


def entity_id(document: str | bytes) -> str:
    """The entityID of the one IdP in the document. Raises `Unusable`."""
    raw = document.encode() if isinstance(document, str) else document
    # Attack: entities that expand without end, or that read a file of ours.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(raw, parser)
    except etree.XMLSyntaxError:
        raise Unusable("The IdP metadata is not well-formed XML.") from None
    if root.getroottree().docinfo.doctype:
        raise Unusable("The IdP metadata has a DOCTYPE, which metadata never needs.")
    providers = [
        entity
        for entity in root.iter(f"{MD}EntityDescriptor")
        if entity.find(f"{MD}IDPSSODescriptor") is not None
    ]
    if not providers:
        raise Unusable("The IdP metadata describes no identity provider.")
    if len(providers) > 1:
        raise Unusable(f"The IdP metadata describes {len(providers)} identity providers; give that of one.")
    found = (providers[0].get("entityID") or "").strip()
    if not found:
        raise Unusable("The IdP metadata has no entityID.")
    for endpoint in providers[0].iter(f"{MD}SingleSignOnService", f"{MD}SingleLogoutService"):
        for name in ("Location", "ResponseLocation"):
            # Attack: "javascript:..." as the target of the form that brings a browser from our page to the IdP.
            if not endpoint.get(name, "https://").lower().startswith(("https://", "http://")):
                raise Unusable("The IdP metadata names an address that does not begin with https://.")
    return found
