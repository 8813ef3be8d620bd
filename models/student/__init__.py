"""The shipped picture network: a ViT that has learned, taught masks and features by others."""
