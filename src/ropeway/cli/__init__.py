"""The command line: one light file a family of commands; what a command needs is imported when it runs, not before."""
