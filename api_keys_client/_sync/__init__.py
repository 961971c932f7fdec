"""The sync client, derived from `_async` by scripts/unasync.py."""
