"""Stages on clusters as people have them: hosts reached by SSH, hosts that fail, full disks."""
