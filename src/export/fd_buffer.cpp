#include "fd_buffer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sampler {

FdBuffer::FdBuffer(int fd, std::size_t piece, MayWrite may_write)
    : fd_{fd}, piece_{piece}, may_write_{std::move(may_write)} {
  setp(bytes_.data(), bytes_.data() + bytes_.size());
}

FdBuffer::int_type FdBuffer::overflow(int_type c) {
  if (!drain()) return traits_type::eof();
  if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
  return sputc(traits_type::to_char_type(c));
}

int FdBuffer::sync() {
  return drain() ? 0 : -1;
}

bool FdBuffer::drain() {
  const char* at = pbase();
  while (error_ == 0 && at != pptr()) {
    error_ = may_write_(fd_);
    if (error_ != 0) break;
    const auto size = std::min(static_cast<std::size_t>(pptr() - at), piece_);
    const auto written = ::write(fd_, at, size);
    if (written >= 0) {
      at += written;
    } else if (errno != EINTR && errno != EAGAIN) {
      error_ = errno;
    }
  }
  setp(bytes_.data(), bytes_.data() + bytes_.size());
  return error_ == 0;
}

}  // namespace sampler
