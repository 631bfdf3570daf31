"""Results of grading runs: every VM's document and evidence, kept as they come, in a database.

And who grades which VM now: a lease per lab and VM, so that two do not grade one at the same time.
"""

from labctl.later import later

# SQLAlchemy imports it, and with it ssl, for ways to a database that are not ours: 6 MB of every run's memory
with later("asyncio", ["iscoroutine"]):
    import sqlalchemy.dialects.sqlite  # noqa: F401

from labctl.store.database import open_store, results_url
from labctl.store.errors import StoreError, Unreadable
from labctl.store.store import Attempt, RunRow, Store

__all__ = ["Attempt", "RunRow", "Store", "StoreError", "Unreadable", "open_store", "results_url"]
