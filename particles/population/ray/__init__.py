"""The only folder that knows of Ray: connecting, shards on actors, tasks."""
