"""`tramdo-probe doctor`: checks of the installation, each with what to do."""
