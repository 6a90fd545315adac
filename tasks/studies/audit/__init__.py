"""Label audit: which steps of the policy turn images of one class into another, or into none.

settings   each step alone at each magnitude, then the whole policy
features   what the images are compared by, and what is kept of it between runs
evidence   two pieces: variants lie inside another class; classes become harder to tell apart
verdicts   keeps, moves, unlike anything or cannot tell, by step, magnitude and class
rules      the label rules that follow, as YAML to paste
audit      all of it, in order
page       reports/audit.html, and the findings beside it
"""
