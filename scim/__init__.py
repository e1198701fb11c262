"""The SCIM 2.0 face: requests become observations, documents become answers. Decides nothing about people."""
