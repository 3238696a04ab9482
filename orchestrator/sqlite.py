"""SQLite as several processes need it.

As it comes, SQLite lets a reader block a writer and gives up after five seconds. In write-ahead mode readers and
writers do not wait for each other; a transaction survives the death of the process, and the database the death of
the machine.
"""

import sqlite3
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine


def tune_connections() -> None:
    """Set up every SQLite connection that this process opens from now on; safe to call again."""
    if not event.contains(Engine, "connect", _set_up):
        event.listen(Engine, "connect", _set_up)


def _set_up(connection: Any, record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 60000")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()
