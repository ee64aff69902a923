"""Shell jobs: command lines as jobs, beside nq and task-spooler."""
