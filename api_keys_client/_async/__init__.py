"""The async client, written by hand: what the sync one is derived from."""
