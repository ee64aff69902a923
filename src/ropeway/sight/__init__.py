"""What a process can say of itself: its jobs, where each thread and task stands, what it printed and logged, what it takes."""
