"""The event types: one module each. A new one is a module here and a table in schema/tables/."""
