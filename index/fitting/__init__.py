"""From labelled samples to a policy: every constant that search and decision depend on, fitted."""
