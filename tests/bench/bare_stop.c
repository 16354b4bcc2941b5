/* The least a stop can cost: bare_stop TID HZ SECONDS. Seizes, interrupts, waits for the stop as a sampler
 * would (spinning for at most 50 us, then blocking) and detaches, at HZ, and reads nothing. Says how many
 * stops it made. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

enum { second = 1000000000, longest_spin = 50000 };

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (long long)time.tv_sec * second + time.tv_nsec;
}

static int wait_for_stop(pid_t tid, int* status) {
  const long long deadline = now() + longest_spin;
  while (now() < deadline) {
    const pid_t stopped = waitpid(tid, status, __WALL | WNOHANG);
    if (stopped != 0) return stopped == tid;
  }
  return waitpid(tid, status, __WALL) == tid;
}

int main(int count, char** words) {
  if (count != 4) {
    fprintf(stderr, "usage: bare_stop TID HZ SECONDS\n");
    return 2;
  }
  const pid_t tid = atoi(words[1]);
  const long long interval = (long long)(second / atof(words[2]));
  const long long begin = now();
  const long long end = begin + (long long)(atof(words[3]) * second);
  unsigned long stops = 0;
  for (long long next = begin; next < end; next += interval) {
    const struct timespec time = {next / second, next % second};
    if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) continue;
    int status = 0;
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0 || ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) != 0 ||
        !wait_for_stop(tid, &status)) {
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
