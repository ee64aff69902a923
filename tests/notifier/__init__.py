"""Lines between whoever connects."""
