"""``python -m atomsight``: the command line."""

from atomsight.cli.main import run

if __name__ == "__main__":
    run()
