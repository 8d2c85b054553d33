collect_ignore_glob = ["references/*.py"]  # they run in environments of other packages
