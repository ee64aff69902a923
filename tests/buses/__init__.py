"""The bus over stream sockets, and what strangers and accidents do to it."""
