"""What tests share: a PostgreSQL for the session, the rules of the house, the reading of documentation."""
