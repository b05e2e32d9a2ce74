"""Maintenance of the book: each tool writes committed files and can `--check` them."""
