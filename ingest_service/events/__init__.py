"""The event contract: a Struct for each type, and the registry of them."""
