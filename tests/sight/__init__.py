"""What a process can say of itself: each part of it."""
