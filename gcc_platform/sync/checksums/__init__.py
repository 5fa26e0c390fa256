"""The same checksum of a row on both servers."""
