"""Dead letters: publishing to the error queue, headers, ids, and the limit of their share."""
