"""What only the directory engine promises, row by row: the folder itself is looked at."""
