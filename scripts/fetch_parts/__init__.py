# SPDX-License-Identifier: Apache-2.0
"""Fetches what parts.toml lists and unpacks it into build/parts/.

The way of a file: the cache (cache.py) is asked first; what is missing comes from the npm registry (npm.py) or a
Debian archive (debian.py, whose sources are derived from the machine's own by apt_sources.py); unpack.py takes the
wanted files out of it; parts.py puts a part together and moves it into place in one step.
"""
