"""How dates are written: one way everywhere, that no reader takes for another."""
