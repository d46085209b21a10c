"""Every metric's name stands here, with what it counts.

No label ever holds an id, or anything of a patient, a sender or a person; a destination goes by its name."""

from prometheus_client import Counter, Gauge, Histogram

from kit.acts import Act
from schemas.envelope import Event

BUS_LAG = Gauge("anteroom_bus_lag_events", "Events a group has not handled yet", ["group", "topic"])
TASKS_DUE = Gauge("anteroom_tasks_due", "Tasks whose time has come, under way or waiting", ["service"])
OLDEST_TASK = Gauge(
    "anteroom_oldest_task_seconds", "How long the most overdue task has been due", ["service"]
)
DEAD_LETTERS = Gauge("anteroom_dead_letters", "Events buried and not replayed")
STUDIES = Gauge("anteroom_studies", "Studies that somebody or something has still to deal with", ["state"])
OLDEST_STUDY = Gauge("anteroom_oldest_study_seconds", "Since when the oldest of them is here", ["state"])
OLDEST_BATCH = Gauge(
    "anteroom_oldest_waiting_batch_seconds",
    "Since when the oldest files are here that were not scanned and read",
)
OLDEST_SPOOLED = Gauge(
    "anteroom_oldest_spooled_seconds", "Since when the oldest acknowledged files wait to be handed over"
)
RETENTION_DOUBTS = Gauge(
    "anteroom_retention_doubts", "Looks of retention in a row that did not believe the clock: nothing goes"
)
RETENTION_CAPPED = Gauge(
    "anteroom_retention_capped", "1 when the last look left some to the next: it announces so many", ["what"]
)
NEIGHBOUR_UP = Gauge("anteroom_neighbour_up", "1 while the neighbour answers, else 0", ["neighbour", "name"])
DISK_FREE = Gauge(
    "anteroom_disk_free_bytes", "Free on the volume of that folder: data, or temporary", ["folder"]
)
DISK_SIZE = Gauge("anteroom_disk_size_bytes", "Size of that volume", ["folder"])
UNKNOWN = Counter("anteroom_gauges_not_refreshed", "Gauges that could not be read anew and are old", ["part"])
RECEIVED_BYTES = Counter("anteroom_received_bytes", "Bytes taken in and made durable", ["door"])
FILES = Counter("anteroom_files", "Files that reached a state", ["state"])
DELIVERED_INSTANCES = Counter("anteroom_delivered_instances", "Instances proven to be at their destination")
HL7_MESSAGES = Counter("anteroom_hl7_messages", "HL7 messages answered", ["answer"])
NOTICES = Counter("anteroom_notices", "Notices by how they ended", ["channel", "state"])
WORK_SECONDS = Histogram(
    "anteroom_work_seconds",
    "Requests, handled events, tasks, messages and sends, by what became of them",
    ["kind", "service", "name", "outcome"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300),
)


class Measuring:
    """Watches acts (kit.acts)."""

    def ended(self, act: Act) -> None:
        WORK_SECONDS.labels(act.kind, act.service, act.name, act.outcome).observe(act.took_s)

    def emitted(self, act: Act, event: Event) -> None:
        """Counted where it is handled."""
