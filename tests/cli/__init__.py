"""The command line: most by calling it in this process, what concerns processes through the real entry point."""
