# What mod_wsgi loads; beside it lies site.json, which names the application.
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
if HERE not in sys.path:
    sys.path.append(HERE)

import _haft_serve as serve  # noqa: E402

application = serve.load_application(serve.read_site()["application"])
