"""The rules, pure: what a call costs, who pays, and what a wallet holds."""
