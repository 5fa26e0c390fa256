"""How fast, how dear and how large: `make bench`, on the real servers with fsync on."""
