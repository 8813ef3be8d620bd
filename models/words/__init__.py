"""Words for images, learned from what the stream itself says of them: no torch, no download."""
