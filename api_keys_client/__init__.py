"""An unofficial Python client for the API-keys API of the Arthur GenAI Engine."""

__version__ = "0.1.0"
