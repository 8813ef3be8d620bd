"""Official weights of others, fetched on request into the data folder, never shipped."""
