"""Results of grading runs: every VM's document and evidence, kept as they come, in a database."""

from labctl.store.database import open_store, results_url
from labctl.store.errors import StoreError
from labctl.store.store import Attempt, RunRow, Store

__all__ = ["Attempt", "RunRow", "Store", "StoreError", "open_store", "results_url"]
