"""The event contract: what an event of each type looks like, and whether a message is one."""
