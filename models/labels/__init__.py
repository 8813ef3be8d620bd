"""Does a hashtag fit its image? Judged without any label by a person."""
