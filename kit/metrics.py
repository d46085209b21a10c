"""Every metric's name stands here, with what it counts. No label ever holds an id or a name."""

from prometheus_client import Counter, Gauge

BUS_LAG = Gauge("anteroom_bus_lag_events", "Events a group has not handled yet", ["group", "topic"])
TASKS_DUE = Gauge("anteroom_tasks_due", "Tasks whose time has come, under way or waiting", ["service"])
DEAD_LETTERS = Gauge("anteroom_dead_letters", "Events buried and not replayed")
RECEIVED_BYTES = Counter("anteroom_received_bytes", "Bytes taken in and made durable", ["door"])
FILES = Counter("anteroom_files", "Files that reached a state", ["state"])
DELIVERED_INSTANCES = Counter("anteroom_delivered_instances", "Instances proven to be at their destination")
HL7_MESSAGES = Counter("anteroom_hl7_messages", "HL7 messages answered", ["answer"])
NOTICES = Counter("anteroom_notices", "Notices by how they ended", ["channel", "state"])
