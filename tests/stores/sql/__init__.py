"""The queue in a database: what all of them share, and each of them."""
