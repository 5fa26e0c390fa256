"""Phases: where each table stands on its way from PostgreSQL to the platform, and how it goes on or back."""
