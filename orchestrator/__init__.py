"""The line from an experiment file to a leaderboard: the only package that knows Ray, MLflow, YAML and Parquet."""
