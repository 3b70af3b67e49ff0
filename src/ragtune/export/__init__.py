"""What leaves the server: a workspace or its models in the form that another place runs."""
