/* The least a stop can cost: bare_stop TID HZ SECONDS. Seizes, interrupts, waits for the stop as our sampler
 * does and detaches, at HZ, and reads nothing. Says how many stops it made.
 *
 * As our sampler: it sets its nice to -20 where it may, waits without timer slack, spins for at most 50 us
 * (for nothing where the thread was last on the CPU that it itself is on) and blocks then. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { second = 1000000000, longest_spin = 50000, processor_field = 39, first_field_after_name = 3 };

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (long long)time.tv_sec * second + time.tv_nsec;
}

/* The CPU that the thread was last on, from its open stat file; -1 where that does not say. */
static int last_cpu(int stat) {
  char text[1024];
  const ssize_t size = pread(stat, text, sizeof text - 1, 0);
  if (size <= 0) return -1;
  text[size] = 0;
  const char* at = strrchr(text, ')'); /* ends the name, which may have spaces */
  for (int field = first_field_after_name; at && field <= processor_field; ++field) at = strchr(at + 1, ' ');
  return at ? atoi(at) : -1;
}

static int wait_for_stop(pid_t tid, long long spin, int* status) {
  const long long deadline = now() + spin;
  do {
    const pid_t stopped = waitpid(tid, status, __WALL | WNOHANG);
    if (stopped != 0) return stopped == tid;
  } while (now() < deadline);
  return waitpid(tid, status, __WALL) == tid;
}

int main(int count, char** words) {
  if (count != 4) {
    fprintf(stderr, "usage: bare_stop TID HZ SECONDS\n");
    return 2;
  }
  const pid_t tid = atoi(words[1]);
  const long long interval = (long long)(second / atof(words[2]));
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task/%d/stat", tid, tid);
  const int stat = open(path, O_RDONLY | O_CLOEXEC);
  if (stat < 0) {
    perror(path);
    return 1;
  }
  prctl(PR_SET_TIMERSLACK, 1UL);
  setpriority(PRIO_PROCESS, 0, -20); /* an unprivileged sampler may not either */
  const long long begin = now();
  const long long end = begin + (long long)(atof(words[3]) * second);
  unsigned long stops = 0;
  for (long long next = begin; next < end; next += interval) {
    const struct timespec time = {next / second, next % second};
    if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) continue;
    int status = 0;
    const long long spin = last_cpu(stat) == sched_getcpu() ? 0 : longest_spin;
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0 || ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) != 0 ||
        !wait_for_stop(tid, spin, &status)) {
      perror("bare_stop");
      return 1;
    }
    /* A signal's delivery is handed on; a stop of our own (an event is in the upper bits) has none. */
    const long signal = WIFSTOPPED(status) && status >> 16 == 0 ? WSTOPSIG(status) : 0;
    if (ptrace(PTRACE_DETACH, tid, NULL, (void*)signal) != 0) {
      perror("bare_stop: detach");
      return 1;
    }
    ++stops;
    while (next + interval < now()) next += interval; /* a missed moment is not made up for */
  }
  printf("%lu %.6f\n", stops, (double)(now() - begin) / second);
  return 0;
}
