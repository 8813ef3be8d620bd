"""Official weights of others: downloaded on request into the data folder, never shipped."""
