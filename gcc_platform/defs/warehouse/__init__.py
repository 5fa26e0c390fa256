"""dbt on ClickHouse: raw tables -> staging views -> marts."""
