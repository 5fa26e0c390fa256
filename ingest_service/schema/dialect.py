"""The differences in DDL between a single server and a cluster, as $words for the .sql files."""

from string import Template

_DEDUPLICATION_WINDOW = 1_000  # insert tokens that the server remembers per table


def table_settings(*, is_replicated: bool) -> dict[str, int]:
    """The settings that a raw table is created with."""
    window = "replicated_deduplication_window" if is_replicated else "non_replicated_deduplication_window"
    return {window: _DEDUPLICATION_WINDOW, "fsync_after_insert": 1, "fsync_part_directory": 1}


class Dialect:
    """The words for one kind of server; `cluster` is the cluster's name, None for a single server."""

    def __init__(self, cluster: str | None) -> None:
        settings = [f"{name} = {value}" for name, value in table_settings(is_replicated=bool(cluster)).items()]
        self._words = {
            "on_cluster": f"ON CLUSTER '{cluster}'" if cluster else "",
            "merge_tree": "ReplicatedMergeTree" if cluster else "MergeTree",
            "replacing_merge_tree": "ReplicatedReplacingMergeTree" if cluster else "ReplacingMergeTree",
            # A table chooses its durability. With `settings` an acknowledged insert is on disk; with
            # `unsynced_settings` it is in the page cache, and a crash of the machine, not of ClickHouse, loses the last
            # seconds.
            "settings": ", ".join(settings),
            "unsynced_settings": ", ".join(each for each in settings if not each.startswith("fsync")),
        }

    def statement(self, sql: str, **words: str) -> str:
        """A file's SQL for this kind of server. Raises KeyError for a $word that does not exist."""
        return Template(sql).substitute(self._words, **words)
