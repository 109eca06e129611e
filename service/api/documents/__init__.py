"""What people see of the service in a browser: the page on which they try it, and the documentation of its API."""
