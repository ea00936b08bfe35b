"""`python -m dokkaebi`: the same front door as the `dokkaebi` command."""

from .cli import main

if __name__ == "__main__":
    main()
