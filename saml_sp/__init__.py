"""The SAML face: a service provider and the people's pages. Knows the domain's services; never the SCIM face."""
