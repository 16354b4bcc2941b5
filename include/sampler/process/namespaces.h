#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sampler {

enum class NamespaceKind { mount, pid, user };

/// The number in what a link of /proc/PID/ns says, such as "pid:[4026531836]".
[[nodiscard]] std::optional<std::uint64_t> parse_namespace_link(std::string_view link);

/// The namespace that a process, a thread ("PID/task/TID") or "self" is in; nothing where we may not know.
[[nodiscard]] std::optional<std::uint64_t> namespace_of(const std::string& pid, NamespaceKind kind);

/// Whether this is the namespace that the machine started with. The first mount namespace cannot be told:
/// false.
[[nodiscard]] bool is_first_namespace(NamespaceKind kind, std::uint64_t number) noexcept;

}  // namespace sampler
