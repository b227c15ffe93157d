"""`python -m detector` is the `labelwatch` command."""

from detector.cli import main

raise SystemExit(main())
