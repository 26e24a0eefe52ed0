"""Jobs: what runs when, in which process, and what it does."""
