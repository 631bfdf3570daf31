"""Grades on their way to Gradescope: receipts that staff sign, and the autograder that reads them there."""

from labctl.gradescope.keys import Keys, make_keys, open_keys
from labctl.gradescope.receipts import Receipt, ReceiptError, read_receipt, receipt_name, sign_receipt

__all__ = [
    "Keys", "Receipt", "ReceiptError", "make_keys", "open_keys", "read_receipt", "receipt_name",
    "sign_receipt",
]  # fmt: skip
