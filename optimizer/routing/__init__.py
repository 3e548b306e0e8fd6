"""Choice rules: which replica a request goes to. Pure; proxies and simulators bring the loads."""
