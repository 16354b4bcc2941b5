/* How often one process_vm_readv of the same pieces can be repeated: floor PID SECONDS ADDRESS:BYTES...
 * Says the number of reads, the seconds they took, the bytes of each and how many were cut short. The local
 * pieces mirror the remote ones. The kernel takes 1,024 pieces a call at most; a read of more is several
 * calls. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

enum { most_pieces = 1 << 16, pieces_per_call = 1024, most_bytes = 64 << 20, bytes_per_look = 1 << 18 };

static struct iovec local[most_pieces], remote[most_pieces];

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The bytes that one read of all pieces got; -1 where a call failed. */
static ssize_t read_all(pid_t pid, int pieces) {
  ssize_t total = 0;
  for (int first = 0; first < pieces; first += pieces_per_call) {
    const int some = pieces - first < pieces_per_call ? pieces - first : pieces_per_call;
    const ssize_t got =
        process_vm_readv(pid, local + first, (unsigned long)some, remote + first, (unsigned long)some, 0);
    if (got < 0) return -1;
    total += got;
  }
  return total;
}

int main(int count, char** words) {
  const int pieces = count - 3;
  if (pieces < 1 || pieces > most_pieces) {
    fprintf(stderr, "usage: floor PID SECONDS ADDRESS:BYTES... (at most %d)\n", most_pieces);
    return 2;
  }
  const pid_t pid = atoi(words[1]);
  const double seconds = atof(words[2]);
  char* buffer = malloc(most_bytes);
  if (!buffer) return 1;
  size_t total = 0;
  for (int i = 0; i < pieces; ++i) {
    unsigned long address = 0, bytes = 0;
    if (sscanf(words[i + 3], "%lx:%lu", &address, &bytes) != 2 || total + bytes > most_bytes) {
      fprintf(stderr, "floor: not ADDRESS:BYTES, or too much: %s\n", words[i + 3]);
      return 2;
    }
    remote[i] = (struct iovec){(void*)address, bytes};
    local[i] = (struct iovec){buffer + total, bytes};
    total += bytes;
  }
  memset(buffer, 1, total); /* its pages are there before they are read into */
  /* Seldom enough that looking at the clock costs nothing. */
  const int reads_per_look = 1 + (int)(bytes_per_look / (total + 1));
  unsigned long reads = 0, cut = 0;
  const double begin = now();
  double end = begin;
  while (end - begin < seconds) {
    for (int i = 0; i < reads_per_look; ++i) {
      const ssize_t got = read_all(pid, pieces);
      if (got < 0) {
        perror("floor: process_vm_readv");
        return 1;
      }
      if ((size_t)got != total) ++cut;
    }
    reads += (unsigned long)reads_per_look;
    end = now();
  }
  printf("%lu %.6f %zu %lu\n", reads, end - begin, total, cut);
  return 0;
}
