"""Who may do what: where a request comes from, whose key it bears, and what that lets it do."""
