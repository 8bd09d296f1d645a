"""`python -m seqvae` is the command `seqvae`."""

from seqvae.cli import main

if __name__ == "__main__":
    main()
