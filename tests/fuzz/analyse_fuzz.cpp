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
    if (!sql::fits_inline(text)) return 0;
    for (const bool scs : {true, false}) {
        const facts_ptr f = sql::analyse(text, {.standard_conforming_strings = scs});
        CHECK(f != nullptr);
        CHECK(sql::is_utf8(f->redacted));
        CHECK(f->shape.empty() || f->shape.size() == 64);
        for (const auto& s : f->statements) {
            CHECK(!s.command.empty());
            CHECK(s.has(kind::opaque) == !s.opaque_reasons.empty());
            for (const auto& r : s.relations)
                CHECK(r.name.size() <= 63 && r.schema.size() <= 63);
        }
    }
    return 0;
}
