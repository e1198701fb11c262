"""The addresses of the SAML face: the protocol's four, and the people's pages."""
