"""The way of a post: poll → ingest → trigger → render → publish → reconcile."""
