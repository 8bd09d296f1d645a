"""The command `seqvae`, which `python -m seqvae` is, too."""

import sys


def main() -> None:
    """Run a verb; Ctrl-C may come while the modules are still being imported."""
    try:
        from seqvae.cli import main as run
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
