"""Experiments as YAML files: the config schema, loading, `extends` and overrides."""
