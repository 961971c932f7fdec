"""All I/O and every clock: the two drivers, their connections, and what threads and asyncio do differently."""
