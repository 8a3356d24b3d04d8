#pragma once

#include <string>
#include <vector>

#include "policy/facts.h"

namespace sallyport::policy {

/// What a statement reaches, a line for each, as approvers read it: "read pii.customers(email)
/// (from)", "write public.orders (view public.todo)", "opaque: DO block". The last parentheses say
/// by which place or road; at most 64 columns are named.
[[nodiscard]] std::vector<std::string> touches_of(const facts& f);

}  // namespace sallyport::policy
