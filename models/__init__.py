"""Neural networks and pixels: arrays in, arrays out. Knows no database and no network service."""
