"""Overlays: an image and the mask of its object become a picture worth replying with."""
