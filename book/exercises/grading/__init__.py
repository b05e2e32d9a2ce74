"""What the book adds to nbgrader: collecting, mending and reporting submissions."""
