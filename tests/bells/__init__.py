"""The bells: sockets, second processes, strangers and second hosts are real; time is given."""
