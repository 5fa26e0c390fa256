"""The servers and projects that assets use: ClickHouse, PostgreSQL and the two dbt projects."""
