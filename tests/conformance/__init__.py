"""What a client may rely on, tested from outside: on both of the sandbox's profiles, or on a real deployment.

pytest tests/conformance --api-keys-url URL, with the token in API_KEYS_TOKEN; docs/guides/server.md has the tables.
"""
