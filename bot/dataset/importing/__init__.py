"""What is imported: a folder of photos with sidecar files."""
