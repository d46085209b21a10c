"""The log of the embedded bus: every event, in the same SQLite file and transaction as the state."""

import sqlite3
import zlib
from collections.abc import Sequence

from kit.documents.port import instant_text
from schemas.catalogue import TOPICS
from schemas.envelope import Event
from schemas.wire import encode

SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, partition INTEGER NOT NULL,
  time TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS log_topic ON log (topic, seq);
CREATE TABLE IF NOT EXISTS offsets (
  consumer TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (consumer, topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead_letters (
  id TEXT PRIMARY KEY, consumer TEXT NOT NULL, topic TEXT NOT NULL, event_id TEXT NOT NULL,
  body BLOB NOT NULL, reason TEXT NOT NULL, attempts INTEGER NOT NULL, time TEXT NOT NULL,
  replaying INTEGER NOT NULL DEFAULT 0);
"""

ALL_PARTITIONS = -1
"""The offsets row that says: every event up to here was handled, whatever its partition."""


def partition_of(topic: str, key: str) -> int:
    return zlib.crc32(key.encode()) % TOPICS[topic].partitions


def append(connection: sqlite3.Connection, events: Sequence[Event]) -> list[tuple[int, Event]]:
    """Write the events at the end of the log, within the caller's transaction."""
    appended = []
    for event in events:
        row = connection.execute(
            "INSERT INTO log (topic, partition, time, body) VALUES (?, ?, ?, ?)",
            (event.topic, partition_of(event.topic, event.key), instant_text(event.time), encode(event)),
        )
        appended.append((int(row.lastrowid or 0), event))
    return appended
