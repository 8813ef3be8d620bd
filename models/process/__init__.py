"""A process of our own that answers questions: how it is asked, watched, bounded and ended."""
