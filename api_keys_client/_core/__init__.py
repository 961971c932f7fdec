"""What the client decides, without I/O, clock or chance: only `_transport` and above touch the world."""
