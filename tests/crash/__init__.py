"""What happens when processes, disks and clocks fail: the short forms of the proof, and what it has found."""
