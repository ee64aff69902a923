"""What comes from elsewhere, and becomes jobs."""
