"""The bus between processes where the store has none of its own: each listening process has a socket, and who publishes writes to all."""
