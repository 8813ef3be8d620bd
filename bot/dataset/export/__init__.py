"""Export formats, and the folder that all of them write into."""
