"""`python -m pipelines` is the `labelmill` command, from a bare checkout as well."""

from pipelines.cli import main

if __name__ == "__main__":
    main()
