"""The bottom layer: search spaces and campaigns as plain frozen values, read from YAML."""
