"""The docks: pixels on a panel, no arithmetic on arrays."""
