"""What the pages ask of the manifests: typed fields, queries, and a database over the files."""
