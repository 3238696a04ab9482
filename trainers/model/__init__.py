"""The networks: encoders, the CTC head, and how a network is built from its settings."""
