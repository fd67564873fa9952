"""A corpus: documents in Parquet, made stage by stage, each stage a pure function of its inputs."""
