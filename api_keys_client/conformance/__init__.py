"""What a client may rely on, tested from outside: on both of the sandbox's profiles, or on a real deployment.

pytest --pyargs api_keys_client.conformance --api-keys-url URL, with the token in API_KEYS_TOKEN, once the extra
``testing`` is installed. docs/guides/server.md has the tables, and comes with this package.
"""
