"""Dated tables shipped as data, and their loaders."""
