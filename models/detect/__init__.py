"""Objects in pictures: boxes and masks of several answers brought together. Pure numpy."""
