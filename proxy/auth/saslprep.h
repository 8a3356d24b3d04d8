#pragma once

#include <string_view>

#include "proxy/secret.h"

namespace sallyport::proxy::auth {

/// The bytes that PostgreSQL hashes for a password, so that a verifier made on one side fits the
/// login on the other: SASLprep (RFC 4013) where it takes the password, else the password as it is.
/// ASCII is never changed, control characters included.
/// Shape:  steps in PostgreSQL's order, which is not quite the RFC's: what is prohibited,
/// unassigned
///         (in Unicode 3.2) or of mixed direction is looked for before the normalisation.
/// Errors: throws std::bad_alloc.
/// Source: the comments on pg_saslprep() in PostgreSQL; tests/e2e/saslprep_test.cpp compares with a
///         real server.
[[nodiscard]] secret prepare_password(std::string_view password);

}  // namespace sallyport::proxy::auth
