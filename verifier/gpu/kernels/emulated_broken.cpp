// A driver's library that lacks almost everything, as after a broken installation: it can be loaded and knows its version.
#define API extern "C" __attribute__((visibility("default"))) int

API cuInit(unsigned) { return 0; }
API cuDriverGetVersion(int* version) { return *version = 12080, 0; }
