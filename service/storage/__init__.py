"""Where files lie that outlive a request: this machine's state directory, or a store that several services share."""
