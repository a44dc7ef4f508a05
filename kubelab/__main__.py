"""`python -m kubelab` is the same as `kubelab`."""

import sys

from kubelab.cli import main

sys.exit(main())
