"""The server: a real one in a process, asked over real connections."""
