"""Every alert: its severity, its team, what to do, and which other alerts explain it.

deploy/alertmanager/alertmanager.yml repeats `muted_by` as inhibition rules, docs/operations.md has a runbook entry for
each name; tests compare both with this list.
"""

from collections.abc import Mapping

from gcc_platform.watch.alerts import Kind, Severity

_INGEST_SERVERS = ("RabbitMQDown", "ClickHouseDown")
_REFRESH_SERVERS = ("ClickHouseDown", "PostgresDown")
_SERVERS = ("RabbitMQDown", *_REFRESH_SERVERS)
_DAGSTER = ("DagsterDown", "CodeLocationFailed", "DaemonDown")
_TYPE = ("IngestHalted", "IngestWaiting", "IngestRetrying")
"""An event type whose messages do not move explains what is late about this type, and about no other."""

_RECOVERY = 45.0
"""Services wait for up to 30 s between attempts (GCC_RETRY_MOST_SECONDS), and the watch looks every 15 s."""

_PAGE, _WARN = Severity.PAGE, Severity.WARN

_KINDS = (
    # servers
    Kind(
        "RabbitMQDown",
        _PAGE,
        "platform",
        "Start RabbitMQ. Crawlers spool meanwhile; nothing is lost.",
        looks=2,
        keep_firing_seconds=_RECOVERY,
    ),
    Kind(
        "ClickHouseDown",
        _PAGE,
        "platform",
        "Start ClickHouse. Messages wait in RabbitMQ meanwhile.",
        looks=2,
        keep_firing_seconds=_RECOVERY,
    ),
    Kind(
        "PostgresDown",
        _PAGE,
        "platform",
        "Start PostgreSQL. The API has no data until it answers.",
        looks=2,
        keep_firing_seconds=_RECOVERY,
    ),
    Kind("DiskFilling", _WARN, "platform", "Free space, or enlarge the disk, before a server stops writing."),
    # the ingest service and its archive
    Kind(
        "IngestDown",
        _PAGE,
        "ingest",
        "Start gcc-ingest run; its log has the reason. Messages wait in RabbitMQ.",
        looks=2,
    ),
    Kind(
        "IngestWaiting",
        _PAGE,
        "ingest",
        "Read the reason in /status: the type's queue cannot be consumed.",
        looks=2,
        muted_by=("RabbitMQDown", "QueueMissing"),
    ),
    Kind(
        "IngestRetrying",
        _WARN,
        "ingest",
        "Read the reason in /status. Messages are held and retried; nothing is lost.",
        looks=3,
        muted_by=_INGEST_SERVERS,
    ),
    Kind(
        "IngestHalted",
        _PAGE,
        "ingest",
        "Fix what the reason names. The type resumes by itself; its messages wait in RabbitMQ.",
        muted_by=("ClickHouseDown",),
    ),
    Kind(
        "IngestStuck",
        _PAGE,
        "ingest",
        "Keep the log of gcc-ingest run, then restart it: it holds messages and settles none.",
        looks=2,
        muted_by=_INGEST_SERVERS,
    ),
    Kind(
        "IngestBlocked",
        _PAGE,
        "platform",
        "Free memory or disk of RabbitMQ: it takes no messages, and crawlers spool.",
        muted_by=("RabbitMQDown",),
    ),
    Kind(
        "ArchiveDown",
        _WARN,
        "ingest",
        "Start or restart gcc-ingest archive. Dead letters wait in the error queues.",
        looks=2,
    ),
    Kind(
        "ArchiveFailing",
        _WARN,
        "ingest",
        "Read the reason in the archive's /status. Dead letters wait in the error queues.",
        looks=2,
        muted_by=_INGEST_SERVERS,
    ),
    Kind(
        "DeadLetters",
        _WARN,
        "ingest",
        "List them with their reasons and publishers: gcc-ingest dead-letters list. Fix the cause, then replay.",
    ),
    # queues
    Kind("QueueMissing", _PAGE, "ingest", "Create it: gcc-ingest init.", looks=2),
    Kind(
        "QueueWithoutConsumer",
        _WARN,
        "ingest",
        "Read in /status why the service does not consume it.",
        looks=3,
        muted_by=(*_INGEST_SERVERS, "IngestDown", "ArchiveDown"),
        muted_per_type=_TYPE,
    ),
    Kind(
        "QueueGrows",
        _WARN,
        "ingest",
        "More arrives than is stored. /status shows the type; a second gcc-ingest run may share the load.",
        muted_by=(*_INGEST_SERVERS, "IngestDown"),
        muted_per_type=_TYPE,
    ),
    Kind(
        "MessagesMissing",
        _PAGE,
        "ingest",
        "Ask whether somebody purged the queue, or consumed from it; crawlers can publish the same events again.",
    ),
    Kind(
        "UnroutableMessages",
        _WARN,
        "ingest",
        "A publisher uses a routing key without a queue: read a message's headers in RabbitMQ.",
    ),
    # Dagster
    Kind(
        "DagsterDown",
        _PAGE,
        "platform",
        "Start Dagster. Nothing is refreshed meanwhile.",
        looks=2,
        keep_firing_seconds=_RECOVERY,
    ),
    Kind(
        "DaemonDown",
        _PAGE,
        "platform",
        "Restart dagster-daemon. Nothing is scheduled meanwhile.",
        muted_by=("DagsterDown",),
    ),
    Kind(
        "CodeLocationFailed",
        _PAGE,
        "platform",
        "Correct the error, or return to the previous version; then reload the code location.",
    ),
    Kind(
        "SensorFailed",
        _WARN,
        "platform",
        "Read the stack trace of its last tick in Dagster.",
        looks=2,
        muted_by=(*_SERVERS, *_DAGSTER),
    ),
    Kind("RunFailed", _WARN, "platform", "Open the run: it names the failed step.", muted_by=_REFRESH_SERVERS),
    Kind(
        "RunHangs",
        _PAGE,
        "platform",
        "Look for locks (TABLE pg_stat_activity, SHOW PROCESSLIST), then terminate the run.",
    ),
    Kind(
        "RefreshLate",
        _PAGE,
        "platform",
        "See whether the schedule is on, and why the last run failed.",
        muted_by=(*_REFRESH_SERVERS, *_DAGSTER, "RunHangs"),
    ),
    Kind(
        "AssetLate",
        _WARN,
        "platform",
        "Its page in Dagster shows when it was last built.",
        muted_by=(*_SERVERS, *_DAGSTER, "IngestDown", "RefreshLate"),
        muted_per_type=_TYPE,
    ),
    Kind(
        "CheckFailed",
        _WARN,
        "platform",
        "Open the check: it has the numbers and, in its description, what to do.",
        muted_by=(*_SERVERS, *_DAGSTER, "IngestDown"),
        muted_per_type=_TYPE,
    ),
    # the migration from PostgreSQL, while GCC_LEGACY_URL is set
    Kind(
        "MigrationTailLate",
        _WARN,
        "platform",
        "Start gcc-platform migration tail, or end the transaction that is open in the old database.",
        looks=2,
        muted_by=_REFRESH_SERVERS,
    ),
    Kind(
        "MigrationReverseLate",
        _PAGE,
        "platform",
        "Start gcc-platform migration reverse: without it, going back would lose rows.",
        looks=2,
        muted_by=_REFRESH_SERVERS,
    ),
    Kind(
        "MigrationGateRed",
        _WARN,
        "platform",
        "gcc-platform migration advance TABLE PHASE --dry-run has the numbers; do not go on before it is green.",
        muted_by=_REFRESH_SERVERS,
    ),
    # alerting itself
    Kind("AlertmanagerDown", _PAGE, "platform", "Start Alertmanager: until then nobody is notified.", looks=2),
    Kind("WatchDown", _PAGE, "platform", "Start gcc-platform watch: until then nobody is notified."),
    Kind(
        "ProbeFailed",
        _WARN,
        "platform",
        "Read the stack trace in the watch's log; until it is fixed, this part is not watched.",
        looks=2,
    ),
    Kind("TestAlert", _WARN, "platform", "Nothing: gcc-platform alerts test has sent it."),
    Kind(
        "Watchdog",
        Severity.NONE,
        "platform",
        "Nothing: it always fires. If it stops, nobody is notified of anything.",
    ),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}
"""By name."""
