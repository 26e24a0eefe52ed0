"""Gettone: prepaid communications charging, self-hosted."""
