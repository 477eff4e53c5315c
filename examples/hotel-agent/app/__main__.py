"""``python -m app`` starts the HTTP service."""

from app.server import main

if __name__ == "__main__":
    raise SystemExit(main())
