#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

/// Bounds what a text may cost the parser, before the parser sees it. libpg_query does not check
/// its stack, and its serialisation moves every subtree once per level: depth times size.
namespace sallyport::policy::sql {

/// Upper bounds of what the parse tree of a text can be, from its tokens alone.
struct complexity {
    std::size_t tokens = 0;
    std::size_t depth = 0;         ///< in levels of the tree; at most two nested messages each
    std::uint64_t work = 0;        ///< sum over subtrees of their tokens
    std::uint64_t rereading = 0;   ///< characters that the parser's lexer reads again
    bool scannable = true;         ///< false: the lexer met an error
    bool plain_backslash = false;  ///< a '…' string holds a backslash
};

struct complexity_limits {
    std::size_t tokens_max = 1'200'000;
    std::size_t depth_max = 3'000;
    std::uint64_t work_max = 60'000'000;
    std::uint64_t rereading_max = 200'000'000;
};

[[nodiscard]] complexity measure(std::string_view sql);

/// Why the text is too complex, or null.
[[nodiscard]] const char* too_complex(const complexity& c, const complexity_limits& limits = {});

}  // namespace sallyport::policy::sql
