"""Dead letters on their way to the error queue: headers, ids, and the limit of how many."""
