"""The agent: one Python process on a VM that does typed requests over one connection."""

from labctl.agent.bundle import Launch
from labctl.agent.client import Agent, Hello, Op, OpError, OpResult, start_agent, start_agent_on
from labctl.agent.remote.wire import LOGIN_USER

__all__ = [
    "LOGIN_USER",
    "Agent",
    "Hello",
    "Launch",
    "Op",
    "OpError",
    "OpResult",
    "start_agent",
    "start_agent_on",
]
