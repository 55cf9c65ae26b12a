"""Experiments as YAML files: the schema, and how files and overrides become one configuration."""
