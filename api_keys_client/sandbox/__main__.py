"""`python -m api_keys_client.sandbox`."""

import sys

from api_keys_client.sandbox.command import main

sys.exit(main())
