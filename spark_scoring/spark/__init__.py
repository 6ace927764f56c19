"""The Spark session, what kind of Spark it is, and what its exceptions say."""
