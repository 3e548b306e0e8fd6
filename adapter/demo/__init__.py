"""The embedded fleet: simulated engines behind real HTTP servers, load, and a stand-in HPA. It decides nothing about replicas."""
