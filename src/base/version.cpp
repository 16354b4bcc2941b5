#include "sampler/base/version.h"

namespace sampler {

std::string_view program_version() noexcept {
  return SAMPLER_VERSION;
}

}  // namespace sampler
