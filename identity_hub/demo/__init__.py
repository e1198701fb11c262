"""A stage for the product: a demo IdP, demo people and the story. Exists only outside of production."""
