"""What can be said of a picture without knowing what it shows. Arrays in, numbers out."""
