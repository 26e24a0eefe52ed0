"""The only place that knows SQL: SQLite and PostgreSQL behind one interface."""
