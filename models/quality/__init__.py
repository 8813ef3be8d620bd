"""Quality of an image without knowing what it shows. Arrays in, numbers out."""
