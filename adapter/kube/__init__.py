"""The Kubernetes API: the only room that talks to it. It reads no engine pages and decides nothing."""
