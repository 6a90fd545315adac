"""Work handed out to worker processes of this machine or of a cluster, with results in order."""
