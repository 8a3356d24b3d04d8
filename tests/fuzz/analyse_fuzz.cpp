#include <cstddef>
#include <cstdint>
#include <string_view>

#include "policy/sql/analyse.h"
#include "policy/sql/lexer.h"
#include "tests/fuzz/check.h"

/// Any bytes give facts: every statement has a command and a kind, and opaque always has its
/// reason.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sallyport::policy;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    if (size > 2048) return 0;  // the fuzzer's stack is smaller than analyse() asks for
    for (const bool scs : {true, false}) {
        const facts_ptr f = sql::analyse(text, {.standard_conforming_strings = scs});
        sallyport::fuzz::require(f != nullptr, "facts are whole and explain themselves");
        sallyport::fuzz::require(sql::is_utf8(f->redacted),
                                 "facts are whole and explain themselves");
        sallyport::fuzz::require(f->shape.empty() || f->shape.size() == 64,
                                 "facts are whole and explain themselves");
        for (const auto& s : f->statements) {
            sallyport::fuzz::require(!s.command.empty(), "facts are whole and explain themselves");
            sallyport::fuzz::require(s.has(kind::opaque) == !s.opaque_reasons.empty(),
                                     "facts are whole and explain themselves");
            for (const auto& r : s.relations)
                sallyport::fuzz::require(r.name.size() <= 63 && r.schema.size() <= 63,
                                         "facts are whole and explain themselves");
        }
    }
    return 0;
}
