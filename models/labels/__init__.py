"""Does a hashtag fit its picture? What the embeddings say, with no label drawn by a person."""
