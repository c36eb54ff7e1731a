from orchestrator_insight.agents import AgentPool as AgentPool
from orchestrator_insight.agents import Results as Results
from orchestrator_insight.agents import TaskChannel as TaskChannel
from orchestrator_insight.agents import best_of as best_of
from orchestrator_insight.agents import mean_score as mean_score
from orchestrator_insight.agents import merge_profiles as merge_profiles
