"""The embedded fleet: simulated engines behind real HTTP servers, load, a stand-in HPA. It decides no replicas."""
