"""Commands about what a login does."""
