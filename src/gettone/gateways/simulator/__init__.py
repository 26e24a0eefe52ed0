"""A card provider that ships with the product: every outcome, delay, duplicate, reorder and loss, at will.

`bank` is the provider itself, without any input or output; `cards` what its test cards do; `faults` what goes wrong on
the way; `wire` its objects as Stripe writes them; `http` the same over HTTP, for Stripe's official client.
"""
