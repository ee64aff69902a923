"""What runs the jobs of a worker: threads, an event loop, or processes; all behind one protocol (pool.py)."""
