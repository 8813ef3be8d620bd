"""Files of other tools beside images: untrusted, and of any platform."""
