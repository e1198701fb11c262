"""The parties of a login, for every test of this face."""

from .parties import browser, connection, idp, sp_certificate, tenant

__all__ = ["browser", "connection", "idp", "sp_certificate", "tenant"]
