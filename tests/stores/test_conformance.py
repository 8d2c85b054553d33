"""S3, GCS and Azure pass the suite that local disk passes."""

from store_conformance import SharedStoreConformance


class TestObjectStores(SharedStoreConformance):
    pass
