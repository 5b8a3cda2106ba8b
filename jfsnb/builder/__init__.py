"""Building an image from a JuiceFS source tree: Dockerfile, source, engines, image archives. No cluster, no views."""
