#pragma once

#include <cstdint>

namespace sallyport::policy {

/// The answer to a question about a statement or its client. `unknown` counts as yes for a rule
/// that denies or holds and as no for a rule that allows.
enum class truth : std::uint8_t { no, yes, unknown };

}  // namespace sallyport::policy
