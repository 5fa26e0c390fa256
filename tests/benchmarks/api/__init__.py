"""How fast the API's queries are: `make bench ARGS=api`, and docs/api.md from the manifests."""
