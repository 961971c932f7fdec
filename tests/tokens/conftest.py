"""One driver and one profile, unless a test asks for others."""

from tests.support.one_driver import driver, sandbox

__all__ = ["driver", "sandbox"]
