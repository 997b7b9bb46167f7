"""What is deployed on a measurement server: nginx for the HTTP test."""
