"""Looks at the platform from outside Dagster, and reports what is wrong to Alertmanager. It imports no Dagster."""
