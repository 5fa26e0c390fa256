"""Gates: the conditions under which a table enters its next phase, each with its numbers, kept over time."""
