#pragma once

#include <type_traits>
#include <utility>
#include <variant>

namespace sampler {

/// The error half of a Result, as `return Failure{error};`.
template <class E>
struct Failure {
  E error;
};
template <class E>
Failure(E) -> Failure<E>;

/// A value of type T, or the error E that says why there is none. An alias of std::expected one day: g++ 12
/// has that in C++23 mode only, and clang 14 not at all.
template <class T, class E>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_{std::in_place_index<0>, std::move(value)} {}
  Result(Failure<E> failure) : state_{std::in_place_index<1>, std::move(failure.error)} {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  /// Only while has_value().
  [[nodiscard]] const T& operator*() const noexcept { return std::get<0>(state_); }
  [[nodiscard]] T& operator*() noexcept { return std::get<0>(state_); }
  [[nodiscard]] const T* operator->() const noexcept { return &std::get<0>(state_); }
  [[nodiscard]] T* operator->() noexcept { return &std::get<0>(state_); }
  /// Only while not has_value().
  [[nodiscard]] const E& error() const noexcept { return std::get<1>(state_); }

 private:
  std::variant<T, E> state_;
};

/// Success without a value, or the error E.
template <class E>
class [[nodiscard]] Result<void, E> {
 public:
  Result() = default;
  Result(Failure<E> failure) : state_{std::in_place_index<1>, std::move(failure.error)} {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  [[nodiscard]] const E& error() const noexcept { return std::get<1>(state_); }

 private:
  std::variant<std::monostate, E> state_;
};

}  // namespace sampler
