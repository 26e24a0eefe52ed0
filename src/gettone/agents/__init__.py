"""The switch's languages: they translate and never decide."""
