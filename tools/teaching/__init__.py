"""Write the instructor pages from `book/teaching/*.toml` and from the notebooks themselves.

What a notebook says (objectives, minutes, points, claims, sections) is read from it. The data add
what only a teacher can: plans, misconceptions, courses, and which exercise serves which objective.

    python -m tools.teaching [--check]
"""
