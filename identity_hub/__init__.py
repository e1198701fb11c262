"""The roof: wires the floors into one Django project. Knows no rule of the domain."""
