/* Native threads that call back into Python through PyGILState_Ensure and end, one generation after the other. */
#include <pthread.h>
#include <stdatomic.h>

typedef int (*callback)(int);

static callback function;
static atomic_int next;

static void *call(void *unused) {
  (void)unused;
  function(atomic_fetch_add(&next, 1));
  return 0;
}

/* Makes `generations` times `threads` threads, each of which calls f once. ctypes' callback takes the GIL. */
int churn(callback f, int generations, int threads) {
  function = f;
  for (int generation = 0; generation < generations; ++generation) {
    pthread_t ids[16];
    for (int i = 0; i < threads; ++i) {
      if (pthread_create(&ids[i], 0, call, 0) != 0) return -1;
    }
    for (int i = 0; i < threads; ++i) pthread_join(ids[i], 0);
  }
  return 0;
}
