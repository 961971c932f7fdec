"""A stateful local server that answers as the real one does. For development and tests only::

    with Sandbox() as sandbox:
        client = ApiKeysClient(sandbox.url, token=sandbox.token)

or, from a shell, ``python -m api_keys_client.sandbox --help``. It needs the extra ``sandbox``, and listens on
a loopback address only. The profile ``engine`` behaves as the Arthur GenAI Engine does, ``spec`` as openapi.json says.
A pytest-httpserver can have it too: ``expect_request(re.compile("/")).respond_with_handler(sandbox.respond)``.
"""

try:
    import werkzeug as _  # noqa: F401  # only whether it is there
except ImportError as error:
    # With the name, `python -m` says it in one line.
    raise ImportError("Werkzeug is missing: pip install 'api-keys-client[sandbox]'.", name=__name__) from error

from api_keys_client.sandbox.answers import Operation, Profile, ReceivedRequest
from api_keys_client.sandbox.application import Sandbox
from api_keys_client.sandbox.faults import Fault
from api_keys_client.sandbox.keys import StoredKey

__all__ = ["Fault", "Operation", "Profile", "ReceivedRequest", "Sandbox", "StoredKey"]
