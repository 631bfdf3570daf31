"""The way from every earlier revision of the tables to today's, by alembic.

A new revision is a file in versions/, and its number in ``schema.REVISION``. A revision never changes once
it is released: it says what the tables were then.
"""
