"""The history of the tables, run by `gettone.storage.upgrade`; Alembic's own command line is not needed."""
