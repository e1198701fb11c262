"""`make bench`: what SCIM costs, beside a bare Django view on the same server and database. No part of the tests."""
