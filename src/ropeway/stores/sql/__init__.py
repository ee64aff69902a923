"""The queue in a database: one store (`store.py`), and a room for each database that says how it speaks SQL (`sqlite/`, ...)."""
