"""The parties of a login; the attacks are minted with their real keys."""

from tests.saml_sp.parties import browser, connection, idp, sp_certificate, tenant

__all__ = ["browser", "connection", "idp", "sp_certificate", "tenant"]
