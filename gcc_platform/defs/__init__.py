"""The data platform as Dagster sees it, a folder per step of the flow: raw -> warehouse -> serving."""
