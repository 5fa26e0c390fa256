"""What each gcc-platform command does, a module per command."""
