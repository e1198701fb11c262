"""The decision core: what an observation changes, and why. Knows no Django, no clock, no wire format."""
