"""Files that become jobs."""
