import tasks  # noqa: F401  # sets what torch's OpenMP reads when it is loaded
