"""labelwatch: notices people photographing parcel labels in a warehouse, and tells those who must know.

Read `pipeline.py` first.
"""

__version__ = "0.1.0"
