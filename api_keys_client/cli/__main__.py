"""`python -m api_keys_client.cli`."""

import sys

from api_keys_client.cli import main

sys.exit(main())
