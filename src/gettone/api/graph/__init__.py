"""The directory and its licences in the shapes of Microsoft Graph v1.0, so that Graph's clients work with Gettone.

Read from top to bottom: `tokens` lets clients in, `routes` answers them with the bodies of `shapes`, for the options
that `query` and `filters` read; `errors` says what went wrong, and `app` puts it together. Nothing is decided here:
everything is done by the operations that our own API uses too. Source of the shapes: facts, section 10.

These routes are not in ``/openapi.json``: they are Graph's, and `docs/reference/graph-api.md` lists them.
"""
