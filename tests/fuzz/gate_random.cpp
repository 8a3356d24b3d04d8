#include <cstdint>
#include <string>

#include "proxy/auth/scram.h"
#include "tests/fuzz/gate_world.h"

namespace sallyport::proxy::auth {

// In the place of the real ones: a run must come out the same when it is repeated.
namespace {
std::uint32_t given = 0;
}
void begin_anew() {
    given = 0;
}
void random_bytes(std::span<std::byte> out) {
    for (auto& b : out)
        b = static_cast<std::byte>(++given);
}
std::string random_nonce() {
    return std::to_string(++given);
}

}  // namespace sallyport::proxy::auth
