"""The job graph, runner profiles and the command line."""
