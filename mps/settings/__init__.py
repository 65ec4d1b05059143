"""Everything that differs between installations comes from the environment; see `.env.example`.

One module for each subject; Django reads them together, from here.
"""

from mps.settings.api import *  # noqa: F403
from mps.settings.base import *  # noqa: F403
from mps.settings.console import *  # noqa: F403
from mps.settings.database import *  # noqa: F403
from mps.settings.environment import *  # noqa: F403
from mps.settings.jobs import *  # noqa: F403
from mps.settings.money import *  # noqa: F403
from mps.settings.monitoring import *  # noqa: F403
from mps.settings.security import *  # noqa: F403
from mps.settings.sign_in import *  # noqa: F403
