"""Shell jobs: command lines as jobs. What stands in one, where its output is kept, and which jobs it comes after."""
